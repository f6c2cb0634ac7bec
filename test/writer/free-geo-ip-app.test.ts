import { createRequire } from 'node:module';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { TrackUsage } from '../../src/index.ts';
import { readFreeGeoIp } from '../../src/writer/enrich/free-geo-ip-settings.ts';
import { COUNTRY_PATHS } from '../../src/writer/enrich/geo-response.ts';
import { codes, serverHits, trackedServer } from '../resilience/support.ts';
import { geoService, hang } from '../support/geo-service.ts';

afterEach(() => vi.unstubAllEnvs());

type TrackedServer = Awaited<ReturnType<typeof trackedServer>>;

/** Sends one request per address, as a proxy would forward it. */
const visit = ({ get }: TrackedServer, addresses: readonly string[]) =>
  Promise.all(addresses.map((address) => get('/', { 'x-forwarded-for': address })));

const countries = async (usage: TrackUsage) =>
  Object.fromEntries(
    (await usage.getSum('geo', { period: 'month' })).map(({ key, hits }) => [String(key), hits]),
  );

describe('an app that looks up its visitors with a service', () => {
  test('stores countries and other data, and never sends private addresses', async () => {
    const service = await geoService((response, address) =>
      response.end(
        address.startsWith('8.8')
          ? '{"country_code":"US","city":"Mountain View"}'
          : '{"country_code":"DE","city":""}',
      ),
    );
    const server = await trackedServer({ trustProxy: true, freeGeoIp: { endpoint: service.endpoint } });
    const { usage, errors } = server;
    await visit(server, ['8.8.8.8', '8.8.8.8', '8.8.4.4', '193.99.144.80', '10.0.0.7', '192.168.0.1']);
    await server.get('/');
    await usage.flush();
    expect(await countries(usage)).toEqual({ US: 3, DE: 1, null: 3 });
    expect(new Set(service.requested)).toEqual(new Set(['8.8.8.8', '8.8.4.4', '193.99.144.80']));
    expect(service.requested).toHaveLength(3);
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

  test('uses the service only for addresses that the database does not contain', async () => {
    const service = await geoService();
    const database = createRequire(import.meta.url).resolve(
      '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb',
    );
    const server = await trackedServer({
      trustProxy: true,
      geo: { database },
      freeGeoIp: { endpoint: service.endpoint },
    });
    await visit(server, ['8.8.8.8', '2fff::1', '10.0.0.1']);
    await server.usage.flush();
    expect(await countries(server.usage)).toEqual({ US: 1, DE: 1, null: 1 });
    expect(service.requested).toEqual(['2fff::1']);
  });

  test('sends only masked addresses with anonymizeIp', async () => {
    const service = await geoService();
    const server = await trackedServer({
      trustProxy: true,
      anonymizeIp: true,
      freeGeoIp: { endpoint: service.endpoint },
    });
    await visit(server, ['8.8.8.8', '8.8.8.9', '2a02:2e0:3fe:1001:302::1']);
    await server.usage.flush();
    expect(new Set(service.requested)).toEqual(new Set(['8.8.8.0', '2a02:2e0:3fe::']));
    expect(service.requested).toHaveLength(2);
    expect(await countries(server.usage)).toEqual({ DE: 3 });
  });

  test('responds and stores records if the service hangs, and shows it in status()', async () => {
    const service = await geoService(hang);
    let resolveError = (_: Error) => {};
    const reported = new Promise<Error>((resolve) => {
      resolveError = resolve;
    });
    const server = await trackedServer({
      trustProxy: true,
      freeGeoIp: { endpoint: service.endpoint },
      onError: (error) => resolveError(error),
    });
    const { usage } = server;
    const addresses = Array.from({ length: 50 }, (_, i) => `8.8.${i}.1`);
    const first = visit(server, addresses);
    await service.waitForRequests(8);
    // The writer waits for the service; the app does not.
    const began = performance.now();
    expect(await visit(server, addresses)).toEqual(addresses.map(() => '200 hello'));
    await first;
    expect(performance.now() - began).toBeLessThan(1_500);
    const error = await reported;
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
    expect(requests).toBe(service.requested.length);
    expect(failed).toBeGreaterThanOrEqual(5);
    expect(missed).toBeGreaterThan(0);

    // From now on nothing waits for the service.
    await visit(
      server,
      addresses.map((address) => address.replace('8.8', '9.9')),
    );
    await usage.flush();
    expect(await serverHits(usage)).toBe(150);
    expect(service.requested).toHaveLength(requests);
    expect(usage.status().freeGeoIp!.missed).toBeGreaterThanOrEqual(missed + 50);
  });

  test('closes within the wait of a batch if the service hangs', async () => {
    const service = await geoService(hang);
    const server = await trackedServer({ trustProxy: true, freeGeoIp: { endpoint: service.endpoint } });
    await visit(server, ['8.8.8.8']);
    await service.waitForRequests(1);
    const began = performance.now();
    await server.usage.close({ timeout: 8_000 });
    expect(performance.now() - began).toBeLessThan(6_000);
    expect(server.usage.status().storages[0]).toMatchObject({ committed: 1 });
  });
});

describe('the option freeGeoIp', () => {
  test('is read from the options or the environment variables of Flask-Track-Usage', () => {
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
    ['an empty endpoint', { endpoint: '' }, /"freeGeoIp.endpoint" is ""/],
    [
      'an endpoint that is not a URL',
      { endpoint: 'geo.example.com/{ip}?key=secret' },
      /is "geo.example.com\/{ip}\?\.\.\."/,
    ],
    ['another scheme', { endpoint: 'ftp://geo.example.com/{ip}' }, /is "ftp:/],
    ['the address in the host', { endpoint: 'http://{ip}.geo.example.com/' }, /in its path or query/],
    ['the address as the host', { endpoint: 'http://' }, /in its path or query/],
    ['a number', { endpoint: 5 }, /"freeGeoIp.endpoint" is 5/],
    ['an empty path', { endpoint: 'http://x/', countryPath: '' }, /"freeGeoIp.countryPath" is ""/],
    ['no paths', { endpoint: 'http://x/', countryPath: [] }, /"freeGeoIp.countryPath" is \[\]/],
    ['a number for a path', { endpoint: 'http://x/', countryPath: 1 }, /"freeGeoIp.countryPath" is 1/],
    ['a misspelt option', { endPoint: 'http://x/' }, /unknown option "endPoint" in freeGeoIp/],
    ['a string', 'http://x/', /option "freeGeoIp" is "http:\/\/x\/"; expected an object/],
  ])('rejects %s', (_, freeGeoIp, message) => {
    expect(() => new TrackUsage(null, [], { freeGeoIp } as never)).toThrow(message);
  });
});
