import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { TrackUsageError } from '../../src/errors.ts';
import { Enricher } from '../../src/writer/enrich/enricher.ts';
import { FreeGeoIp, type SERVICE_LIMITS } from '../../src/writer/enrich/free-geo-ip.ts';
import { NO_LOCATION } from '../../src/writer/enrich/geo.ts';
import { COUNTRY_PATHS } from '../../src/writer/enrich/geo-response.ts';
import { BatchBuilder } from '../../src/writer/thread/batch-builder.ts';
import { CustomSummaries } from '../../src/writer/thread/custom-summaries.ts';
import { fieldsOf } from '../journal/support.ts';
import { type GeoResponder, geoService, hang, json } from '../support/geo-service.ts';

/** A timeout that no test reaches. */
const EVER = 50_000;

function createGeo(
  endpoint: string,
  limits: Partial<typeof SERVICE_LIMITS> = {},
  countryPaths = COUNTRY_PATHS,
) {
  const problems: TrackUsageError[] = [];
  const clock = { now: 0 };
  const geo = new FreeGeoIp(
    { endpoint, countryPaths },
    (problem) => problems.push(problem),
    { budget: EVER, timeout: EVER, ...limits },
    () => clock.now,
  );
  return { geo, problems, clock };
}

const addresses = (count: number, net = '8.8.8') =>
  Array.from({ length: count }, (_, i) => `${net}.${i + 1}`);

describe('lookup', () => {
  test('returns the country, and the rest as geo', async () => {
    const service = await geoService(json({ country_code: 'de', city: 'Berlin' }));
    const { geo, problems } = createGeo(service.endpoint);
    expect(geo.find('8.8.8.8')).toBe(NO_LOCATION);
    await geo.locate(['8.8.8.8']);
    expect(geo.find('8.8.8.8')).toEqual({ country: 'DE', geo: { city: 'Berlin' } });
    expect(geo.status).toEqual({ requests: 1, failed: 0, missed: 0, paused: false });
    expect(problems).toEqual([]);
  });

  test('replaces every {ip}, or appends the address', async () => {
    const service = await geoService();
    for (const end of ['/{ip}/json?key=a%20b', '/api/', '/?key=1&ip=', '/{ip}?again={ip}']) {
      await createGeo(service.origin + end).geo.locate(['8.8.4.4', '2a02:2E0:3fe::1']);
    }
    expect(service.urls).toEqual([
      '/8.8.4.4/json?key=a%20b',
      '/2a02%3A2e0%3A3fe%3A%3A1/json?key=a%20b',
      '/api/8.8.4.4',
      '/api/2a02%3A2e0%3A3fe%3A%3A1',
      '/?key=1&ip=8.8.4.4',
      '/?key=1&ip=2a02%3A2e0%3A3fe%3A%3A1',
      '/8.8.4.4?again=8.8.4.4',
      '/2a02%3A2e0%3A3fe%3A%3A1?again=2a02%3A2e0%3A3fe%3A%3A1',
    ]);
  });

  test('never sends addresses that are not public', async () => {
    const service = await geoService();
    const { geo } = createGeo(service.endpoint);
    const secret = [
      '',
      'unknown',
      'localhost',
      '8.8.8',
      '8.8.8.8/../admin',
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
      '192.0.2.1',
      '192.168.1.1',
      '198.51.100.1',
      '203.0.113.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      '::10.1.2.3',
      '::ffff:10.1.2.3',
      '::FFFF:c0a8:101',
      '64:ff9b::a01:203',
      '64:ff9b:1::1',
      '2001::1',
      '2001:db8::1',
      '2002:a01:203::1',
      '3fff::1',
      'fc00::1',
      'fd12:3456::1',
      'fe80::1%eth0',
      'fec0::1',
      'ff02::1',
    ];
    await geo.locate(secret);
    expect(service.requested).toEqual([]);
    await geo.locate([...secret, '172.32.0.1', '::ffff:8.8.8.8', '2606:4700::1111%eth0', '9.9.9.9']);
    expect(service.requested).toEqual(['172.32.0.1', '8.8.8.8', '2606:4700::1111', '9.9.9.9']);
    expect(secret.map((address) => geo.find(address))).toEqual(secret.map(() => NO_LOCATION));
    expect(geo.find('8.8.8.8').country).toBe('DE');
    expect(geo.find('::ffff:8.8.8.8').country).toBe('DE');
  });

  test('looks an address up once per batch, in concurrent batches, and later', async () => {
    const service = await geoService();
    const { geo } = createGeo(service.endpoint);
    await Promise.all([
      geo.locate(['8.8.8.8', '8.8.8.8', '::ffff:8.8.8.8']),
      geo.locate(['8.8.8.8', '8.8.4.4']),
    ]);
    await geo.locate(['8.8.4.4', '8.8.8.8']);
    expect(service.requested).toEqual(['8.8.8.8', '8.8.4.4']);
    expect(geo.status).toMatchObject({ requests: 2, missed: 0 });
  });

  test('limits concurrent requests, and reuses connections', async () => {
    let underWay = 0;
    let most = 0;
    const held: (() => void)[] = [];
    const service = await geoService((response) => {
      underWay += 1;
      most = Math.max(most, underWay);
      held.push(() => {
        underWay -= 1;
        response.end('{"country":"FR"}');
      });
    });
    const { geo } = createGeo(service.endpoint, { concurrency: 3 });
    const located = geo.locate(addresses(30));
    for (let done = 0; done < 30; done++) {
      await service.waitForRequests(Math.min(30, done + 3));
      held.shift()!();
    }
    await located;
    expect(most).toBe(3);
    expect(service.connections).toBe(3);
    expect(geo.status).toMatchObject({ requests: 30, failed: 0, missed: 0 });
  });

  test('does not fail if the server closes a reused connection', async () => {
    const used = new WeakSet<object>();
    const service = await geoService((response, _, { socket }) => {
      if (used.has(socket)) socket.destroy();
      else response.end('{"country":"FR"}');
      used.add(socket);
    });
    const { geo } = createGeo(service.endpoint);
    for (const address of addresses(4)) await geo.locate([address]);
    expect(addresses(4).map((address) => geo.find(address).country)).toEqual(Array(4).fill('FR'));
    expect(geo.status).toMatchObject({ requests: 4, failed: 0 });
  });
});

describe('redirects', () => {
  const redirect =
    (to: (address: string) => string): GeoResponder =>
    (response, address, request) => {
      if (request.url!.startsWith('/new/')) response.end('{"country":"FR"}');
      else response.writeHead(301, { location: to(address) }).end('moved');
    };

  test('on the same host are followed', async () => {
    const service = await geoService(redirect((address) => `/new/${address}`));
    const { geo } = createGeo(service.endpoint);
    await geo.locate(['8.8.8.8']);
    expect(geo.find('8.8.8.8').country).toBe('FR');
    expect(service.urls).toEqual(['/json/8.8.8.8', '/new/8.8.8.8']);
  });

  test('to other hosts or without end are not followed', async () => {
    const other = await geoService();
    const localhost = other.origin.replace('127.0.0.1', 'localhost');
    for (const [to, reason] of [
      [`${other.origin}/new/`, `it redirects to ${other.origin}`],
      [`${localhost}/new/`, `it redirects to ${localhost}`],
      ['https://track-usage.invalid/', 'it redirects to https://track-usage.invalid'],
      ['http://[/', 'it redirects to no URL'],
      ['file:///etc/', 'it redirects to null'],
      ['/json/', 'it redirects more than 3 times'],
    ] as const) {
      const service = await geoService(redirect((address) => to + address));
      const { geo, problems } = createGeo(service.endpoint, { failures: 1 });
      await geo.locate(['8.8.8.8']);
      expect(geo.find('8.8.8.8')).toBe(NO_LOCATION);
      expect(problems[0]!.message).toContain(`: ${reason};`);
    }
    expect(other.requested).toEqual([]);
  });
});

describe('an invalid response', () => {
  const status =
    (code: number, body = '{"country":"FR"}'): GeoResponder =>
    (response) =>
      response.writeHead(code).end(body);

  test.each<[string, GeoResponder, string | RegExp]>([
    ['404', status(404), 'it responded with status 404'],
    ['429', status(429), 'it responded with status 429'],
    ['500', status(500), 'it responded with status 500'],
    ['204', status(204, ''), 'it responded with status 204'],
    ['text that is not JSON', (response) => response.end('<h1>Hello!</h1>'), 'its response is not JSON'],
    ['truncated JSON', (response) => response.end('{"country":"F'), 'its response is not JSON'],
    ['an array', json([]), 'its response is not a JSON object'],
    ['no country', json({ message: 'quota' }), 'its response has no country code at country_code, '],
    ['a closed connection', (response) => response.destroy(), /: (socket hang up|read ECONNRESET);/],
    [
      'closes in the middle',
      (response) => response.write('{"country":"FR"', () => response.destroy()),
      'it closed the connection',
    ],
    [
      'too long by its length',
      (response) => response.writeHead(200, { 'content-length': 1e9 }).write('x'.repeat(100_000)),
      'its response is longer than 65536 bytes',
    ],
    [
      'without end',
      (response) => {
        const more = (): unknown =>
          !response.destroyed && (response.write(' '.repeat(10_000)) ? setImmediate(more) : 0);
        response.on('drain', more);
        more();
      },
      'its response is longer than 65536 bytes',
    ],
    ['garbage', (response) => response.socket!.end('garbage\r\n\r\n'), /Parse Error/],
    [
      'headers without end',
      (response) => response.socket!.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}`),
      /Parse Error: Header overflow/,
    ],
  ])('is reported: %s', async (_, answer, reason) => {
    const service = await geoService(answer);
    const { geo, problems } = createGeo(service.endpoint, { failures: 1 });
    await geo.locate(['8.8.8.8']);
    expect(geo.find('8.8.8.8')).toBe(NO_LOCATION);
    expect(geo.status).toEqual({ requests: 1, failed: 1, missed: 0, paused: true });
    expect(problems[0]).toMatchObject({ code: 'GEO_SERVICE' });
    expect(problems[0]!.message).toMatch(reason);
  });

  test.each<[string, GeoResponder]>([
    ['no response', hang],
    ['headers without a body', (response) => response.flushHeaders()],
    [
      'drips',
      (response) => {
        const drop = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(drop));
      },
    ],
    [
      'redirects slowly',
      (response) => setTimeout(() => response.writeHead(302, { location: '/' }).end(), 80),
    ],
  ])('times out: %s', async (_, answer) => {
    const service = await geoService(answer);
    const { geo, problems } = createGeo(service.endpoint, { failures: 1, timeout: 150 });
    await geo.locate(['8.8.8.8']);
    expect(problems[0]!.message).toContain('it did not respond in time');
    // No connection is left open.
    await expect
      .poll(() => new Promise((resolve) => service.server.getConnections((_error, n) => resolve(n))))
      .toBe(0);
  });

  test('is reported if the connection fails or the host is unknown', async () => {
    const service = await geoService();
    service.server.close();
    for (const [endpoint, reason] of [
      [service.endpoint, 'ECONNREFUSED'],
      [service.endpoint.replace('127.0.0.1', 'localhost'), 'ECONNREFUSED'],
      ['http://track-usage.invalid/', /ENOTFOUND|EAI_AGAIN/],
    ] as const) {
      const { geo, problems } = createGeo(endpoint, { failures: 2 });
      await geo.locate(addresses(5));
      expect(problems[0]!.message).toMatch(reason);
      expect(geo.status.paused).toBe(true);
    }
  });

  test('is reported for an untrusted certificate, to which no address is sent', async () => {
    const support = join(import.meta.dirname, '../support');
    const server = https.createServer({
      key: readFileSync(join(support, 'localhost-key.pem')),
      cert: readFileSync(join(support, 'localhost-cert.pem')),
    });
    let asked = 0;
    server.on('request', () => {
      asked += 1;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const { geo, problems } = createGeo(`https://localhost:${port}/`, { failures: 1 });
    await geo.locate(['8.8.8.8']);
    expect(problems[0]!.message).toMatch(/certificate/);
    // The same behind a redirect from http to https of the same host, which is followed.
    const service = await geoService((response, address) =>
      response.writeHead(301, { location: `https://127.0.0.1:${port}/${address}` }).end(),
    );
    const redirected = createGeo(service.endpoint, { failures: 1 });
    await redirected.geo.locate(['8.8.8.8']);
    expect(redirected.problems[0]!.message).toMatch(/certificate/);
    expect(asked).toBe(0);
  });

  test('is reported without the key in the endpoint', async () => {
    const service = await geoService((response) => response.writeHead(403).end());
    const { geo, problems } = createGeo(`${service.origin}/secret-key/{ip}?key=secret`, { failures: 1 });
    await geo.locate(['8.8.8.8']);
    expect(problems[0]!.message).toBe(
      `requests to the geolocation service ${service.origin} are paused for 30 s: it responded with status 403; ` +
        'check freeGeoIp: { endpoint, countryPath } and the rate limits of the service; until then, countries that no database provides are null.',
    );
  });
});

describe('the time limit of a batch', () => {
  test('ends the wait, and later responses are used for the next batch', async () => {
    let answer: () => unknown = () => {};
    const service = await geoService((response) => {
      answer = () => response.end('{"country":"FR"}');
    });
    const { geo } = createGeo(service.endpoint, { budget: 50, concurrency: 1 });
    const [first = '', ...others] = addresses(4);
    await geo.locate([first, ...others]);
    expect(geo.status).toMatchObject({ requests: 1, failed: 0, missed: 4 });
    expect(geo.find(first)).toBe(NO_LOCATION);

    await service.waitForRequests(1);
    const next = geo.locate([first]);
    answer();
    await next;
    expect(geo.find(first).country).toBe('FR');
    // Lookups that did not start in time were not sent.
    expect(service.requested).toEqual([first]);
  });

  test('of zero sends a few requests without waiting', async () => {
    const service = await geoService();
    const { geo } = createGeo(service.endpoint, { concurrency: 2 });
    await geo.locate(addresses(10), false);
    expect(geo.status).toMatchObject({ requests: 2, failed: 0, missed: 10 });
    await geo.locate(addresses(2));
    expect(service.requested).toEqual(addresses(2));
    expect(geo.find('8.8.8.2').country).toBe('DE');
  });
});

describe('the cache', () => {
  test('keeps responses for a day and failures for five minutes', async () => {
    const service = await geoService((response, address) =>
      response.end(address === '8.8.8.8' ? '{"country":"FR"}' : '{}'),
    );
    const { geo, clock } = createGeo(service.endpoint);
    const locate = () => geo.locate(['8.8.8.8', '9.9.9.9']);
    await locate();
    clock.now += 299_000;
    await locate();
    expect(service.requested).toEqual(['8.8.8.8', '9.9.9.9']);
    clock.now += 2_000;
    await locate();
    expect(service.requested).toEqual(['8.8.8.8', '9.9.9.9', '9.9.9.9']);
    clock.now += 24 * 3_600_000;
    await locate();
    expect(service.requested.slice(3)).toEqual(['8.8.8.8', '9.9.9.9']);
  });

  test('prefers an old response to a failure', async () => {
    const service = await geoService();
    const { geo, clock } = createGeo(service.endpoint);
    await geo.locate(['8.8.8.8']);
    service.respond = (response) => response.destroy();
    clock.now += 25 * 3_600_000;
    await geo.locate(['8.8.8.8']);
    expect(service.requested.length).toBeGreaterThan(1);
    expect(geo.status.failed).toBe(1);
    expect(geo.find('8.8.8.8').country).toBe('DE');
  });

  test('is limited', async () => {
    const service = await geoService();
    const { geo } = createGeo(service.endpoint, { cached: 10 });
    await geo.locate(addresses(100));
    const known = addresses(100).filter((address) => geo.find(address) !== NO_LOCATION);
    expect(known.length).toBeGreaterThanOrEqual(10);
    expect(known.length).toBeLessThanOrEqual(20);
  });
});

describe('a service that fails', () => {
  test('is paused, reported once, and retried by a single request', async () => {
    const service = await geoService((response) => response.writeHead(500).end());
    const { geo, problems, clock } = createGeo(service.endpoint, { failures: 3, concurrency: 1 });
    await geo.locate(addresses(10));
    expect(service.requested).toEqual(addresses(3));
    expect(geo.status).toEqual({ requests: 3, failed: 3, missed: 7, paused: true });
    expect(problems.map(({ code }) => code)).toEqual(['GEO_SERVICE']);

    clock.now += 29_000;
    await geo.locate(addresses(10));
    expect(service.requested).toHaveLength(3);

    clock.now += 2_000;
    await geo.locate(addresses(10));
    expect(service.requested.slice(3)).toEqual(['8.8.8.4']);
    expect(geo.status.paused).toBe(true);
    await geo.locate(addresses(10));
    expect(service.requested).toHaveLength(4);
    expect(problems).toHaveLength(1);

    service.respond = json({ country: 'IT' });
    clock.now += 31_000;
    await geo.locate(addresses(10));
    expect(service.requested.slice(4)).toEqual(addresses(10).slice(4));
    expect(geo.status.paused).toBe(false);
    expect(geo.find('8.8.8.10').country).toBe('IT');

    service.respond = (response) => response.destroy();
    await geo.locate(addresses(10, '9.9.9'));
    expect(problems).toHaveLength(2);
  });

  test('is retried by one request, regardless of the number of waiting addresses', async () => {
    const service = await geoService((response) => response.destroy());
    const { geo, clock } = createGeo(service.endpoint, { failures: 4, concurrency: 4 });
    await geo.locate(addresses(4));
    expect(geo.status).toMatchObject({ requests: 4, paused: true });
    const held: (() => void)[] = [];
    service.respond = (response) => held.push(() => response.end('{"country":"FR"}'));
    clock.now += 30_000;
    const located = geo.locate(addresses(8, '9.9.9'));
    await service.waitForRequests(5);
    expect(geo.status.requests).toBe(5);
    held.shift()!();
    await service.waitForRequests(9);
    expect(geo.status).toMatchObject({ requests: 9, paused: false });
    service.respond = json({ country: 'FR' });
    for (const answer of held) answer();
    await located;
    expect(geo.status).toMatchObject({ requests: 12, failed: 4 });
  });

  test('is not paused if a success resets the count', async () => {
    let count = 0;
    const service = await geoService((response) => response.end(++count % 3 ? '{}' : '{"country":"FR"}'));
    const { geo, problems } = createGeo(service.endpoint, { failures: 3, concurrency: 1 });
    await geo.locate(addresses(12));
    expect(service.requested).toHaveLength(12);
    expect(geo.status).toMatchObject({ failed: 8, paused: false });
    expect(problems).toEqual([]);
  });

  test('that hangs delays no batch after it is paused', async () => {
    const service = await geoService(hang);
    const { geo, problems } = createGeo(service.endpoint, { timeout: 50, failures: 5, concurrency: 8 });
    await geo.locate(addresses(100));
    expect(service.requested.length).toBeLessThanOrEqual(16);
    expect(problems).toHaveLength(1);
    const asked = service.requested.length;
    for (let batch = 0; batch < 100; batch++) await geo.locate(addresses(50, `9.9.${batch}`));
    expect(service.requested).toHaveLength(asked);
    expect(geo.status.missed).toBeGreaterThanOrEqual(5_000);
  });

  test.each<[string, number, string | undefined, number]>([
    ['with a number of seconds', 429, '120', 120],
    ['with status 503', 503, '60', 60],
    ['missing', 429, undefined, 30],
    ['less than the pause', 429, '1', 30],
    ['too large', 429, '999999', 3_600],
    ['a date', 429, 'Wed, 21 Oct 2026 07:28:00 GMT', 30],
    ['invalid', 429, '-5', 30],
  ])('is paused as Retry-After says: %s', async (_, status, retryAfter, seconds) => {
    const service = await geoService((response) =>
      response.writeHead(status, retryAfter === undefined ? {} : { 'retry-after': retryAfter }).end(),
    );
    const { geo, problems, clock } = createGeo(service.endpoint, { concurrency: 1 });
    await geo.locate(addresses(2));
    expect(service.requested).toHaveLength(1);
    expect(problems[0]!.message).toContain(`are paused for ${seconds} s: it responded with status ${status}`);
    clock.now = seconds * 1000 - 1;
    await geo.locate(addresses(2));
    expect(service.requested).toHaveLength(1);
    // After one more failure of any kind it is paused again.
    service.respond = (response) => response.writeHead(500).end();
    clock.now += 1;
    await geo.locate(addresses(2));
    expect(service.requested).toHaveLength(2);
    await geo.locate(addresses(3));
    expect(service.requested).toHaveLength(2);
  });
});

describe('in a batch', () => {
  const fill = (builder: BatchBuilder, fields: { remoteAddr: string; extra?: string }[]) => {
    builder.begin({ site: 'default', serverName: 'default' });
    for (const each of fields) builder.add({ ...fieldsOf('http://localhost/'), ...each });
  };

  test('looks up addresses that the database does not contain, and adds geo', async () => {
    const service = await geoService((response, address) =>
      response.end(address === '9.9.9.9' ? '{}' : '{"country":"FR","city":"Paris"}'),
    );
    const database = (address: string) =>
      address === '8.8.8.8' ? { country: 'US', geo: null } : NO_LOCATION;
    const builder = new BatchBuilder(
      new Enricher(database, createGeo(service.endpoint).geo),
      'default',
      new CustomSummaries([], () => {}),
    );
    for (let batch = 0; batch < 2; batch++) {
      fill(builder, [
        { remoteAddr: '8.8.8.8' },
        { remoteAddr: '1.1.1.1' },
        { remoteAddr: '1.1.1.1', extra: '{"vars":{"plan":"gold"}}' },
        { remoteAddr: '9.9.9.9', extra: '{"vars":{}}' },
        { remoteAddr: '10.0.0.1' },
        { remoteAddr: '' },
      ]);
      await builder.locate();
      const records = Array.from({ length: 6 }, (_, i) => builder.batch.record(i));
      const paris = { city: 'Paris' };
      expect(records.map(({ country, geo, vars }) => [country, geo, vars])).toEqual([
        ['US', null, null],
        ['FR', paris, null],
        ['FR', paris, { plan: 'gold' }],
        [null, null, {}],
        [null, null, null],
        [null, null, null],
      ]);
    }
    expect(service.requested).toEqual(['1.1.1.1', '9.9.9.9']);
  });

  test('does not wait without a service', () => {
    const builder = new BatchBuilder(new Enricher(undefined), 'default', new CustomSummaries([], () => {}));
    fill(builder, [{ remoteAddr: '8.8.8.8' }]);
    expect(builder.locate()).toBe(undefined);
  });

  test('does not wait with a full batch', async () => {
    const service = await geoService(hang);
    const builder = new BatchBuilder(
      new Enricher(undefined, createGeo(service.endpoint).geo),
      'default',
      new CustomSummaries([], () => {}),
    );
    builder.begin({ site: 'default', serverName: 'default' });
    for (let i = 0; !builder.isFull; i++) {
      builder.add({ ...fieldsOf('http://localhost/'), remoteAddr: `8.8.${i >> 8}.${i & 255}` });
    }
    await builder.locate();
    expect(builder.batch.at('country', 0)).toBe(null);
  });
});
