import { Validator } from '@seriousme/openapi-schema-validator';
import { parse } from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENDPOINTS } from '../../src/server/api.ts';
import { batchLine } from '../../src/server/batch-schemas.ts';
import { problem } from '../../src/server/schemas.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { defineSummary } from '../../src/summaries/define.ts';
import type { TestRecord } from '../../src/testing/batches.ts';
import { ALL_SUMMARIES, fillStorage, jsonOf, serve, sourceOf, statusOf, type TestServer } from './support.ts';

const at = (text: string) => Date.parse(text);
const sumPlans = defineSummary({ name: 'plans', key: () => null });

const RECORDS: TestRecord[] = [
  {
    date: at('2026-11-24T10:00:00Z'),
    url: 'http://shop/a',
    country: 'DE',
    contentLength: 10,
    duration: 1_000,
  },
  {
    date: at('2026-11-24T10:30:00Z'),
    url: 'http://shop/a',
    country: 'AT',
    contentLength: 20,
    duration: 2_000,
  },
  { date: at('2026-11-25T09:00:00Z'), url: 'http://shop/b', status: 500, contentLength: 5, duration: 9_000 },
  {
    date: at('2026-11-25T20:00:00Z'),
    url: '=cmd()',
    referrer: 'a,"b"\r\nc',
    bot: true,
    contentLength: 1,
    duration: 1,
  },
];
const NOVEMBER_24 = 'from=2026-11-24&to=2026-11-24';

let server: TestServer;
beforeAll(async () => {
  const storage = await fillStorage(new MemoryStorage({ hooks: [...ALL_SUMMARIES, sumPlans] }), RECORDS);
  server = await serve(sourceOf(storage, { status: () => statusOf() }));
});
afterAll(() => server.close());

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  server.request(`/usage/api/v1${path}`, { headers, method });

/** Returns the response after checking it against the schema of its endpoint. */
async function getValid(path: string): Promise<Record<string, unknown>> {
  const response = await get(path);
  const [pathname = ''] = path.split('?');
  const pattern = pathname.replace(/^\/summaries\/.*/, '/summaries/{summary}');
  const { response: schema } = ENDPOINTS.find((endpoint) => endpoint.path === pattern)!;
  expect([response.status, response.headers['content-type']]).toEqual([
    200,
    'application/json; charset=utf-8',
  ]);
  const body = jsonOf(response);
  expect(parse(schema, body)).toEqual(body);
  return body;
}

/** Returns the status, code and detail of a problem after checking it against the schema. */
async function getProblem(path: string, method = 'GET') {
  const response = await get(path, {}, method);
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  const body = parse(problem, jsonOf(response));
  expect(body.status).toBe(response.status);
  expect(body.type).toBe('about:blank');
  return [response.status, body.code, body.detail] as const;
}

function linesOf(response: Awaited<ReturnType<typeof get>>) {
  const lines = String(response.body).trimEnd().split('\n');
  return lines.map((line) => parse(batchLine, JSON.parse(line)));
}

describe('responses', () => {
  test('describe the site', async () => {
    const { summaries, ...rest } = await getValid('/site');
    expect(rest).toEqual({
      site: 'shop',
      timeZone: 'UTC',
      since: '2026-11-01T00:00:00+00:00',
      retention: [],
      verify: false,
      version: '1.2.3',
      status: { ...statusOf(), journal: { state: 'file', slowAppends: 0 } },
    });
    expect(summaries).toContainEqual({ name: 'urls', title: 'sumUrls', custom: false, filter: true });
  });

  test('contain the status', async () => {
    expect(await getValid('/status')).toMatchObject({ status: { captured: 0 } });
  });

  test('contain the totals, compared with the previous range', async () => {
    expect(await getValid(`/totals?${NOVEMBER_24}&compare=true`)).toEqual({
      coverage: { complete: true, gaps: [] },
      budget: { reached: false },
      dailyVisitors: false,
      expired: [],
      site: 'shop',
      timeZone: 'UTC',
      range: { from: '2026-11-24T00:00:00+00:00', to: '2026-11-24T23:00:00+00:00' },
      totals: { hits: 2, transfer: 30, errors: 0, duration: 3_000, visitors: 0, bots: 0 },
      previous: {
        range: { from: '2026-11-23T00:00:00+00:00', to: '2026-11-23T23:00:00+00:00' },
        totals: { hits: 0, transfer: 0, errors: 0, duration: 0, visitors: 0, bots: 0 },
      },
    });
  });

  test.each([
    ['compare=weekdays', '2026-11-17T00:00:00+00:00'],
    ['compare=year', '2025-11-24T00:00:00+00:00'],
    ['compareFrom=2026-01-01&compareTo=2026-01-02', '2026-01-01T00:00:00+00:00'],
  ])('are compared with other periods: %s', async (query, from) => {
    for (const path of ['totals', 'series']) {
      expect(await getValid(`/${path}?${NOVEMBER_24}&${query}`)).toMatchObject({
        previous: { range: { from } },
      });
    }
  });

  test('contain the series of all requests and of one key', async () => {
    const { buckets, period } = await getValid('/series?range=7d&period=day');
    expect(period).toBe('day');
    expect((buckets as unknown as { hits: number }[]).map(({ hits }) => hits)).toEqual([0, 0, 0, 0, 0, 2, 2]);
    const one = await getValid('/series?range=7d&period=month&summary=geo&key=DE');
    expect(one.buckets).toMatchObject([{ hits: 1, visitors: null, bots: null }]);
    const without = await getValid('/series?range=7d&period=month&summary=geo');
    expect(without.buckets).toMatchObject([{ hits: 2 }]);
    // An empty key is that of the requests beyond the budget.
    const others = await getValid('/series?range=7d&period=month&summary=geo&key=');
    expect(others.buckets).toMatchObject([{ hits: 0 }]);
  });

  test('contain the keys of a summary', async () => {
    const { rows, ...rest } = await getValid('/summaries/urls?order=errors&limit=1&compare=true');
    expect(rows).toEqual([
      {
        key: 'http://shop/b',
        hits: 1,
        transfer: 5,
        errors: 1,
        duration: 9_000,
        previous: { hits: 0, transfer: 0, errors: 0, duration: 0 },
      },
    ]);
    expect(rest).toMatchObject({ count: 3, total: { hits: 4, transfer: 36 }, others: { hits: 3 } });
    expect(await getValid('/summaries/urls?search=SHOP&limit=0')).toMatchObject({ count: 2 });
    expect(await getValid('/summaries/urls?limit=1&page=3')).toMatchObject({ rows: [{ hits: 1 }] });
  });

  test('contain records page by page', async () => {
    const first = await getValid('/records?limit=3');
    expect(first.records).toMatchObject([{ url: '=cmd()' }, { status: 500 }, { country: 'AT' }]);
    const rest = await getValid(`/records?limit=3&after=${encodeURIComponent(String(first.next))}`);
    expect([rest.records, rest.next]).toEqual([[expect.objectContaining({ country: 'DE' })], null]);
  });

  test('contain the last minutes, of which none has a request', async () => {
    const { buckets } = await getValid('/minutes?minutes=2&bots=exclude&filter=status:200');
    expect(buckets).toMatchObject([{ hits: 0 }, { hits: 0 }]);
  });

  test('of a batch are those of its queries, with the common parameters', async () => {
    const queries = ['totals?compare=true', 'series?period=day', 'summaries/urls?limit=1', 'records?limit=2'];
    const common = 'range=7d&filter=status:200&bots=exclude';
    const own = queries.map((query) => `query=${encodeURIComponent(query)}`).join('&');
    const response = await get(`/batch?${common}&${own}`);
    expect(response.status).toBe(200);
    expect(response.headers['content-type']).toBe('application/x-ndjson; charset=utf-8');
    const lines = linesOf(response).sort((a, b) => a.index - b.index);
    expect(lines.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    for (const [index, query] of queries.entries()) {
      expect(lines[index]!.body).toEqual(await getValid(`/${query}&${common}`));
    }
  });

  test('of a batch are sent as they arrive, and errors are those of one query', async () => {
    const lines = linesOf(
      await get('/batch?query=totals%3Fcompare%3Dnever&query=summaries/nothing&query=totals'),
    );
    const byIndex = new Map(lines.map(({ index, ...line }) => [index, line]));
    expect(byIndex.get(0)).toMatchObject({
      status: 400,
      body: { code: 'QUERY_INVALID', type: 'about:blank' },
    });
    expect(byIndex.get(1)).toMatchObject({ status: 404, body: { code: 'SUMMARY_UNKNOWN' } });
    expect(byIndex.get(2)).toMatchObject({ status: 200, body: { totals: { hits: 4 } } });
  });

  test('are narrowed by filters', async () => {
    expect(await getValid('/totals?filter=geo:DE')).toMatchObject({ totals: { hits: 1 } });
    expect(await getValid('/totals?filter=geo')).toMatchObject({ totals: { hits: 2 } });
    expect(await getValid('/totals?filter=geo:')).toMatchObject({ totals: { hits: 0 } });
    expect(await getValid('/totals?bots=exclude')).toMatchObject({ totals: { hits: 3, bots: 0 } });
    expect(await getValid('/totals?bots=only')).toMatchObject({ totals: { hits: 1, bots: 1 } });
    const both = `filter=geo:DE&filter=urls:${encodeURIComponent('http://shop/a')}`;
    expect(await getValid(`/records?${both}`)).toMatchObject({ records: [{ country: 'DE' }] });
    expect(await getValid('/totals?filter=geo:DE&filter=status:500')).toMatchObject({ totals: { hits: 0 } });
    // The maximum length of a stored key.
    const longest = `http://shop/${'x'.repeat(4_096 - 'http://shop/'.length)}`;
    expect(await getValid(`/totals?filter=urls:${longest}`)).toMatchObject({ totals: { hits: 0 } });
    expect(await getProblem(`/totals?filter=user-agents:${longest}${'x'.repeat(30)}`)).toEqual([
      400,
      'QUERY_INVALID',
      expect.stringContaining('4137'),
    ]);
  });
});

/** Returns all values whose name is that of a date. */
function datesOf(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) => {
    const isDate = name === 'date' || (['from', 'to'].includes(name) && typeof each !== 'object');
    return isDate ? [each] : datesOf(each);
  });
}

describe('dates', () => {
  const RECORD = { date: at('2026-11-25T09:00:00.123Z'), url: 'http://shop/a' };
  const IN_BERLIN = '2026-11-25T10:00:00.123+01:00';
  const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?[+-]\d\d:\d\d$/;
  let berlin: TestServer;
  beforeAll(async () => {
    const storage = await fillStorage(new MemoryStorage({ hooks: ['urls'] }), [RECORD], 'Europe/Berlin');
    const lastError = { date: RECORD.date, code: null, message: 'no disk' };
    berlin = await serve(sourceOf(storage, { status: () => statusOf({ lastError }) }));
  });
  afterAll(() => berlin.close());

  test.each([
    ['site', 1],
    ['status', 1],
    ['totals?compare=true', 4],
    ['series?range=today&compare=true', 48],
    ['summaries/urls?compare=true', 2],
    ['records', 3],
  ])('of %s are ISO 8601 text with an offset', async (path, count) => {
    const dates = datesOf(jsonOf(await berlin.request(`/usage/api/v1/${path}`)));
    expect(dates).toHaveLength(count);
    for (const date of dates) expect(date).toMatch(ISO);
  });

  test('of records are the same in JSON, NDJSON and CSV, to the millisecond', async () => {
    const text = async (format: string) =>
      (await berlin.request(`/usage/api/v1/records?format=${format}`)).body.toString();
    const { records } = JSON.parse(await text('json'));
    expect(records).toEqual([expect.objectContaining({ date: IN_BERLIN, site: 'shop', url: RECORD.url })]);
    expect(JSON.parse(await text('ndjson'))).toEqual(records[0]);
    expect((await text('csv')).split('\r\n')[1]).toMatch(`${IN_BERLIN},shop,`);
  });

  test('of a process without a site are in UTC', async () => {
    const { status } = jsonOf(await berlin.request('/usage/api/v1/status'));
    expect(status.lastError.date).toBe('2026-11-25T09:00:00.123+00:00');
  });
});

test('responds with 304 if nothing has changed', async () => {
  const first = await get('/totals');
  const tag = String(first.headers.etag);
  const second = await get('/totals', { 'if-none-match': tag });
  expect([second.status, second.body.length, second.headers.etag]).toEqual([304, 0, tag]);
  expect((await get('/totals?range=today', { 'if-none-match': tag })).status).toBe(200);
  expect(first.headers['cache-control']).toBe('private, no-cache');
});

describe('downloads', () => {
  test('contain CSV with a header row and quotes, and without formulas', async () => {
    const urls = await get('/summaries/urls?format=csv');
    expect(urls.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': 'attachment; filename="urls.csv"',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    expect(urls.body.toString()).toBe(
      'key,hits,transfer,errors,duration\r\n' +
        'http://shop/a,2,30,0,3000\r\n' +
        "'=cmd(),1,1,0,1\r\n" +
        'http://shop/b,1,5,1,9000\r\n',
    );
    const referrers = await get('/summaries/referrers?format=csv');
    // Line breaks are escaped, so that a row is a line.
    expect(referrers.body.toString().split('\r\n')).toHaveLength(4);
    expect(referrers.body.toString()).toContain('"a,""b""');
    const series = await get('/series?range=today&format=csv');
    expect(series.body.toString()).toMatch(
      /^date,hits,transfer,errors,duration,visitors,bots\r\n2026-11-25T00:00:00\+00:00,0,0,0,0,0,0\r\n/,
    );
    const records = await get('/records?format=csv&limit=2');
    expect(records.body.toString().split('\r\n')).toHaveLength(4);
  });

  test('contain only the header row if there are no rows', async () => {
    const response = await get('/summaries/urls?format=csv&from=2026-01-01&to=2026-01-02');
    expect(response.body.toString()).toBe('key,hits,transfer,errors,duration\r\n');
  });

  test('contain NDJSON', async () => {
    const response = await get('/records?format=ndjson');
    expect(response.headers['content-type']).toBe('application/x-ndjson; charset=utf-8');
    const lines = response.body.toString().trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).url)).toEqual([
      '=cmd()',
      'http://shop/b',
      'http://shop/a',
      'http://shop/a',
    ]);
    expect((await get('/summaries/geo?format=ndjson&limit=1')).body.toString()).toBe(
      `${JSON.stringify({ key: null, hits: 2, transfer: 6, errors: 1, duration: 9_001 })}\n`,
    );
  });

  test.each(['csv', 'ndjson'])('respond with a problem instead of a file: %s', async (format) => {
    expect(await getProblem(`/summaries/nonsense?format=${format}`)).toEqual([
      404,
      'SUMMARY_UNKNOWN',
      expect.any(String),
    ]);
    expect(await getProblem(`/series?key=a&format=${format}`)).toEqual([
      400,
      'QUERY_INVALID',
      expect.any(String),
    ]);
    expect(await getProblem(`/records?from=2026-13&format=${format}`)).toEqual([
      400,
      'QUERY_INVALID',
      expect.any(String),
    ]);
  });
});

describe('invalid requests', () => {
  test('with an unknown parameter are rejected by every endpoint', async () => {
    const { paths } = jsonOf(await get('/openapi.json')) as { paths: object };
    const documented = Object.keys(paths).map((path) => path.replace('{summary}', 'urls'));
    expect(documented.length).toBeGreaterThan(5);
    for (const path of [...documented, '/live', '/openapi.json']) {
      expect([path, ...(await getProblem(`${path}?x=1`))]).toEqual([
        path,
        400,
        'QUERY_INVALID',
        expect.stringContaining('x'),
      ]);
    }
    expect((await server.request('/usage/metrics?x=1')).status).toBe(400);
  });

  test.each([
    ['/totals?rnage=7d', 400, 'QUERY_INVALID', /^rnage: unknown parameter$/],
    ['/totals?constructor=7d', 400, 'QUERY_INVALID', /^constructor: unknown parameter$/],
    ['/totals?__proto__=7d', 400, 'QUERY_INVALID', /^__proto__: unknown parameter$/],
    ['/totals?range=7d&range=30d', 400, 'QUERY_INVALID', /^range: /],
    ['/totals?site=a&site=b', 400, 'QUERY_INVALID', /^site: expected one value$/],
    [`/totals?site=${'a'.repeat(4_097)}`, 400, 'QUERY_INVALID', /^site: expected at most 4096 characters$/],
    ['/totals?range=7d&from=2026-01-01', 400, 'QUERY_INVALID', /range/],
    ['/totals?range=8d', 400, 'QUERY_INVALID', /"7d"/],
    ['/totals?compare=yes', 400, 'QUERY_INVALID', /^compare: /],
    ['/batch', 400, 'QUERY_INVALID', /^query: /],
    ['/batch?query=site', 400, 'QUERY_INVALID', /^query: /],
    ['/batch?query=batch%3Fquery%3Dtotals', 400, 'QUERY_INVALID', /^query: /],
    ['/batch?query=../openapi.json', 400, 'QUERY_INVALID', /^query: /],
    ['/batch?query=records%3Fformat%3Dcsv', 400, 'QUERY_INVALID', /^query: /],
    ['/batch?limit=5&query=totals', 400, 'QUERY_INVALID', /^limit: /],
    [`/batch?${'query=totals&'.repeat(21)}`, 400, 'QUERY_INVALID', /^query: expected at most 20/],
    ['/totals?compareTo=2026-01', 400, 'QUERY_INVALID', /^compareTo /],
    ['/totals?compare=year&compareFrom=2026-01', 400, 'QUERY_INVALID', /^compare /],
    ['/totals?from=yesterday', 400, 'QUERY_INVALID', /from is "yesterday"/],
    ['/totals?from=2026-11-26&to=2026-11-25', 400, 'QUERY_INVALID', /from/],
    ['/totals?filter=Geo', 400, 'QUERY_INVALID', /^filter/],
    ['/totals?bots=some', 400, 'QUERY_INVALID', /^bots/],
    ['/totals?filter=plans:gold', 400, 'QUERY_INVALID', /filter/],
    ['/totals?filter=constructor:x', 400, 'QUERY_INVALID', /filter/],
    ['/totals?site=%00', 400, 'QUERY_INVALID', /NUL/],
    ['/summaries/urls?limit=1001', 400, 'QUERY_INVALID', /^limit: /],
    ['/summaries/urls?limit=', 400, 'QUERY_INVALID', /^limit: /],
    ['/summaries/urls?page=0', 400, 'QUERY_INVALID', /^page: /],
    ['/summaries/urls?order=name', 400, 'QUERY_INVALID', /^order: /],
    ['/records?after=x', 400, 'QUERY_INVALID', /^after is "x"/],
    ['/minutes?minutes=0', 400, 'QUERY_INVALID', /^minutes: /],
    ['/minutes?range=7d', 400, 'QUERY_INVALID', /^range: unknown parameter$/],
    ['/series?from=2000&period=hour', 400, 'QUERY_INVALID', /./],
    ['/series?from=2000-01-01&period=hour', 400, 'QUERY_INVALID', /period/],
    ['/series?from=0001-01-01&period=day', 400, 'QUERY_INVALID', /period/],
    ['/summaries/nonsense', 404, 'SUMMARY_UNKNOWN', /sumUrls|urls/],
    ['/summaries/URLS', 404, 'SUMMARY_UNKNOWN', /urls/],
    ['/totals?filter=status:500&filter=status:200', 400, 'QUERY_INVALID', /one key of status/],
    ['/summaries/urls?format=csv&page=2', 400, 'QUERY_INVALID', /page/],
    ['/summaries/', 404, 'PATH_UNKNOWN', /./],
    ['/nothing', 404, 'PATH_UNKNOWN', /./],
    ['', 404, 'PATH_UNKNOWN', /./],
  ])('are rejected: %s', async (path, status, code, detail) => {
    expect(await getProblem(path)).toEqual([status, code, expect.stringMatching(detail)]);
  });

  test('with other methods are rejected', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      expect(await getProblem('/totals', method)).toEqual([405, 'METHOD_UNKNOWN', expect.any(String)]);
    }
    expect((await server.request('/usage/login')).headers.allow).toBe('POST');
  });
});

describe('openapi.json', () => {
  test('is valid OpenAPI 3.1', async () => {
    const document = jsonOf(await get('/openapi.json'));
    const { valid, errors } = await new Validator().validate(document);
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.servers).toEqual([{ url: '/usage/api/v1' }]);
  });

  test('describes every endpoint, with unique operation IDs', async () => {
    const { paths } = jsonOf(await get('/openapi.json'));
    expect(Object.keys(paths)).toEqual([...ENDPOINTS.map(({ path }) => path), '/batch']);
    const ids = Object.values<{ get: { operationId: string } }>(paths).map(({ get: of }) => of.operationId);
    expect(new Set(ids).size).toBe(ENDPOINTS.length + 1);
  });
});
