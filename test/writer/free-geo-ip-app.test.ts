import { createRequire } from 'node:module';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { TrackUsage } from '../../src/index.ts';
import { readFreeGeoIp } from '../../src/writer/enrich/free-geo-ip-settings.ts';
import { COUNTRY_PATHS } from '../../src/writer/enrich/geo-response.ts';
import { codes, serverHits, trackedServer } from '../resilience/support.ts';
import { geoService, hang } from '../support/geo-service.ts';

afterEach(() => vi.unstubAllEnvs());

type Tracked = Awaited<ReturnType<typeof trackedServer>>;

/** One request from each address, as a proxy would pass it on. */
const visit = ({ get }: Tracked, addresses: readonly string[]) =>
  Promise.all(addresses.map((address) => get('/', { 'x-forwarded-for': address })));

const countries = async (usage: TrackUsage) =>
  Object.fromEntries(
    (await usage.getSum('geo', { period: 'month' })).map(({ key, hits }) => [String(key), hits]),
  );

describe('an app whose visitors are looked up by a service', () => {
  test('countries in sumGeo and in the records, the rest in geo; private addresses stay here', async () => {
    const service = await geoService((response, address) =>
      response.end(
        address.startsWith('8.8')
          ? '{"country_code":"US","city":"Mountain View"}'
          : '{"country_code":"DE","city":""}',
      ),
    );
    const tracked = await trackedServer({ trustProxy: true, freeGeoIp: { endpoint: service.endpoint } });
    const { usage, errors } = tracked;
    await visit(tracked, ['8.8.8.8', '8.8.8.8', '8.8.4.4', '193.99.144.80', '10.0.0.7', '192.168.0.1']);
    await tracked.get('/');
    await usage.flush();
    expect(await countries(usage)).toEqual({ US: 3, DE: 1, null: 3 });
    expect(new Set(service.asked)).toEqual(new Set(['8.8.8.8', '8.8.4.4', '193.99.144.80']));
    expect(service.asked).toHaveLength(3);
    const records = await usage.getUsage();
    const places = Object.fromEntries(
      records.map(({ remoteAddr, country, geo }) => [remoteAddr, { country, geo }]),
    );
    expect(places).toEqual({
      '8.8.8.8': { country: 'US', geo: { city: 'Mountain View' } },
      '8.8.4.4': { country: 'US', geo: { city: 'Mountain View' } },
      '193.99.144.80': { country: 'DE', geo: null },
      '10.0.0.7': { country: null, geo: null },
      '192.168.0.1': { country: null, geo: null },
      '127.0.0.1': { country: null, geo: null },
    });
    expect(usage.status().freeGeoIp).toEqual({ requests: 3, failed: 0, missed: 0, paused: false });
    expect(errors).toEqual([]);
  });

  test('with a database too the service is asked for what it does not know', async () => {
    const service = await geoService();
    const database = createRequire(import.meta.url).resolve(
      '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb',
    );
    const tracked = await trackedServer({
      trustProxy: true,
      geo: { database },
      freeGeoIp: { endpoint: service.endpoint },
    });
    await visit(tracked, ['8.8.8.8', '2fff::1', '10.0.0.1']);
    await tracked.usage.flush();
    expect(await countries(tracked.usage)).toEqual({ US: 1, DE: 1, null: 1 });
    expect(service.asked).toEqual(['2fff::1']);
  });

  test('with anonymizeIp only masked addresses leave the machine', async () => {
    const service = await geoService();
    const tracked = await trackedServer({
      trustProxy: true,
      anonymizeIp: true,
      freeGeoIp: { endpoint: service.endpoint },
    });
    await visit(tracked, ['8.8.8.8', '8.8.8.9', '2a02:2e0:3fe:1001:302::1']);
    await tracked.usage.flush();
    expect(new Set(service.asked)).toEqual(new Set(['8.8.8.0', '2a02:2e0:3fe::']));
    expect(service.asked).toHaveLength(2);
    expect(await countries(tracked.usage)).toEqual({ DE: 3 });
  });

  test('that hangs: requests are answered, records stored, and status() tells', async () => {
    const service = await geoService(hang);
    let tell = (_: Error) => {};
    const told = new Promise<Error>((resolve) => {
      tell = resolve;
    });
    const tracked = await trackedServer({
      trustProxy: true,
      freeGeoIp: { endpoint: service.endpoint },
      onError: (error) => tell(error),
    });
    const { usage } = tracked;
    const addresses = Array.from({ length: 50 }, (_, i) => `8.8.${i}.1`);
    const first = visit(tracked, addresses);
    await service.hasAsked(8);
    // The writer waits for the service; the app does not.
    const began = performance.now();
    expect(await visit(tracked, addresses)).toEqual(addresses.map(() => '200 hello'));
    await first;
    expect(performance.now() - began).toBeLessThan(1_500);
    const error = await told;
    expect(codes([error])).toEqual(['GEO_SERVICE']);
    expect(error.message).toContain('it did not respond in time');

    const flushing = performance.now();
    await usage.flush();
    expect(performance.now() - flushing).toBeLessThan(6_000);
    expect(await serverHits(usage)).toBe(100);
    expect(await countries(usage)).toEqual({ null: 100 });
    expect(usage.status()).toMatchObject({
      freeGeoIp: { paused: true },
      lastError: { code: 'GEO_SERVICE' },
      storages: [{ ok: true, committed: 100 }],
    });
    const { requests, failed, missed } = usage.status().freeGeoIp!;
    expect(requests).toBe(service.asked.length);
    expect(failed).toBeGreaterThanOrEqual(5);
    expect(missed).toBeGreaterThan(0);

    // From here on nothing waits for it.
    await visit(
      tracked,
      addresses.map((address) => address.replace('8.8', '9.9')),
    );
    await usage.flush();
    expect(await serverHits(usage)).toBe(150);
    expect(service.asked).toHaveLength(requests);
    expect(usage.status().freeGeoIp!.missed).toBeGreaterThanOrEqual(missed + 50);
  });

  test('that hangs while the app ends: it waits no longer than a batch does', async () => {
    const service = await geoService(hang);
    const tracked = await trackedServer({ trustProxy: true, freeGeoIp: { endpoint: service.endpoint } });
    await visit(tracked, ['8.8.8.8']);
    await service.hasAsked(1);
    const began = performance.now();
    await tracked.usage.close({ timeout: 8_000 });
    expect(performance.now() - began).toBeLessThan(6_000);
    expect(tracked.usage.status().storages[0]).toMatchObject({ committed: 1 });
  });
});

describe('the option', () => {
  test('freeGeoIp, or the environment as Flask-Track-Usage has it', () => {
    const endpoint = 'https://geo.example.com/{ip}';
    const data = { endpoint, countryPaths: COUNTRY_PATHS };
    expect(readFreeGeoIp(undefined)).toBe(undefined);
    expect(readFreeGeoIp({ endpoint })).toEqual(data);
    expect(readFreeGeoIp({ endpoint, countryPath: 'a.b' })).toEqual({ endpoint, countryPaths: ['a.b'] });
    expect(readFreeGeoIp({ endpoint, countryPath: ['a', 'b'] })?.countryPaths).toEqual(['a', 'b']);

    vi.stubEnv('TRACK_USAGE_FREEGEOIP_ENDPOINT', ` ${endpoint} `);
    expect(readFreeGeoIp(undefined)).toBe(undefined);
    expect(readFreeGeoIp(true)).toEqual(data);
    expect(readFreeGeoIp({ countryPath: 'a' })).toEqual({ endpoint, countryPaths: ['a'] });
    expect(readFreeGeoIp({ endpoint: 'http://other/' })?.endpoint).toBe('http://other/');
    vi.stubEnv('TRACK_USAGE_FREEGEOIP', 'yes');
    expect(readFreeGeoIp(undefined)).toEqual(data);
    vi.stubEnv('TRACK_USAGE_USE_FREEGEOIP', 'False');
    expect(readFreeGeoIp(undefined)).toBe(undefined);
    vi.stubEnv('TRACK_USAGE_USE_FREEGEOIP', 'True');
    expect(readFreeGeoIp(undefined)).toEqual(data);
    expect(readFreeGeoIp(false)).toBe(undefined);
  });

  test.each<[string, unknown, RegExp]>([
    ['no endpoint', true, /"freeGeoIp.endpoint" is undefined; expected the http or https URL/],
    ['an empty one', { endpoint: '' }, /"freeGeoIp.endpoint" is ""/],
    ['no URL', { endpoint: 'geo.example.com/{ip}?key=secret' }, /is "geo.example.com\/{ip}\?\.\.\."/],
    ['another scheme', { endpoint: 'ftp://geo.example.com/{ip}' }, /is "ftp:/],
    ['the address in the host', { endpoint: 'http://{ip}.geo.example.com/' }, /in its path or query/],
    ['the address as the host', { endpoint: 'http://' }, /in its path or query/],
    ['a number', { endpoint: 5 }, /"freeGeoIp.endpoint" is 5/],
    ['an empty path', { endpoint: 'http://x/', countryPath: '' }, /"freeGeoIp.countryPath" is ""/],
    ['no paths', { endpoint: 'http://x/', countryPath: [] }, /"freeGeoIp.countryPath" is \[\]/],
    ['a number for a path', { endpoint: 'http://x/', countryPath: 1 }, /"freeGeoIp.countryPath" is 1/],
    ['a misspelt option', { endPoint: 'http://x/' }, /unknown option "endPoint" in freeGeoIp/],
    ['a text', 'http://x/', /option "freeGeoIp" is "http:\/\/x\/"; expected an object/],
  ])('refuses %s', (_, freeGeoIp, message) => {
    expect(() => new TrackUsage(null, [], { freeGeoIp } as never)).toThrow(message);
  });
});
