import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { verify } from '../../src/maintenance/verify.ts';
import type { Storage } from '../../src/query/storage.ts';
import { ENDPOINTS } from '../../src/server/api.ts';
import { problem } from '../../src/server/schemas.ts';
import type { VerifyDay } from '../../src/server/verification.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import type { TestRecord } from '../../src/testing/batches.ts';
import { HOSTILE_TEXTS } from '../../src/testing/hostile.ts';
import { type Client, type ClientResponse, http1Client } from '../support/client.ts';
import {
  ALL_SUMMARIES,
  bearer,
  fillStorage,
  HOST,
  jsonOf,
  NOW,
  serve,
  sourceOf,
  statusOf,
  type TestServer,
  TOKEN,
} from './support.ts';

const RUNS = 250;
const SEED = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31);
/** Maximum size of a response for some hundred records. */
const MAX_BYTES = 4_000_000;
const MAX_MS = 5_000;
/** Node rejects longer request heads. */
const MAX_URL_LENGTH = 12_000;

/** The parts of a JSON schema that the API uses. */
interface Schema {
  type?: string;
  enum?: string[];
  pattern?: string;
  maxLength?: number;
  allOf?: Schema[];
  items?: Schema;
}
type Responses = Record<200, { content: { 'application/json'?: { schema: object } } }>;
interface Operation {
  path: string;
  parameters: { name: string; in: string; schema: Schema }[];
  responseSchema: object;
}

const HOSTILE = [
  ...HOSTILE_TEXTS.map((text) => encodeURIComponent(text.slice(0, 200).toWellFormed())),
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype', '__proto__[x]', 'length'],
  ...['-1', '0', '1e9', '99999999999999999999', '0x10', 'NaN', 'Infinity', '1.5', '%20', '+1', '٣'],
  ...[
    '%00',
    '%',
    '%zz',
    '%ff%fe',
    '%c0%af',
    '%ed%a0%80',
    '%F0%9F%98%80',
    '%u0041',
    '%0d%0aX-Evil:1',
    '%2e%2e%2f',
  ],
  ...'\' OR 1=1 --|\'; DROP TABLE usage_records; --|" UNION SELECT 1|$where|{"$gt":""}|*|%25_%25|a\')/*'
    .split('|')
    .map((text) => text.replaceAll(' ', '%20').replaceAll('"', '%22')),
  ...[
    '99999-01-01',
    '-0001-01-01',
    '-1',
    '0000-01-01',
    '9999-12-31T23:59:59.999Z',
    '+275760-09-13T00:00:00Z',
  ],
  ...['2026-02-30', '2026-11-25T24:00', '1970-01-01', '2026-11-25T10:00:00-99:99', '0001-01', '1583-01-01'],
  'a'.repeat(4_096),
  '9'.repeat(4_000),
  `${'9 '.repeat(30)}9`,
  '<script>alert(1)</script>',
];
const DATES = [
  '0000-01',
  '0001-01-01',
  '1970-01-01',
  '2000-02-29',
  '2026-11',
  '2026-11-24T10',
  '2026-11-25T20:00Z',
];

/** Generates values that match the schema, valid and invalid ones. */
function valuesOf(name: string, schema: Schema): fc.Arbitrary<string> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.items) return valuesOf(name, schema.items);
  const summaries = fc.constantFrom(...ALL_SUMMARIES, 'nothing', 'constructor', 'tostring');
  switch (name) {
    case 'from':
    case 'to':
    case 'compareFrom':
    case 'compareTo':
      return fc.oneof(
        fc.constantFrom(...DATES),
        fc
          .date({ min: new Date('1990-01-01'), max: new Date('2030-01-01'), noInvalidDate: true })
          .map((date) => date.toISOString()),
      );
    case 'site':
      return fc.constantFrom('shop', 'shop', 'shop', 'other', '');
    case 'filter':
      return fc
        .tuple(summaries, fc.oneof(fc.constantFrom('', 'DE', '500', '200'), fc.string({ unit: 'binary' })))
        .map(([summary, key]) => encodeURIComponent(`${summary}:${key.toWellFormed()}`));
    case 'summary':
      return summaries;
    case 'minutes':
      return fc.integer({ min: 0, max: 200 }).map(String);
    case 'threshold':
      return fc.nat().map(String);
    case 'limit':
    case 'page':
      return fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 0, max: 2 ** 31 })).map(String);
    case 'after':
      return fc
        .array(
          fc.oneof(
            fc.nat(),
            fc.maxSafeNat(),
            fc.bigInt({ min: 0n, max: 10n ** 30n }),
            fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()),
          ),
          { minLength: 1, maxLength: 4 },
        )
        .map((parts) => encodeURIComponent(parts.join(' ')));
    default:
      return fc
        .string({ unit: 'binary', maxLength: 50 })
        .map((text) => encodeURIComponent(text.toWellFormed()));
  }
}

/** Parameters that a request cannot have together with another one. */
const EXCLUSIVE: Readonly<Record<string, readonly string[]>> = {
  range: ['from', 'to'],
  compare: ['compareFrom', 'compareTo'],
};

/** Removes parameters that are invalid only together with others. */
function withoutConflicts(pairs: readonly string[]): string[] {
  const has = (name: string) => pairs.some((pair) => pair.startsWith(`${name}=`));
  const removed = Object.keys(EXCLUSIVE).flatMap((name) => (has(name) ? EXCLUSIVE[name]! : []));
  if (!has('compareFrom')) removed.push('compareTo');
  return pairs.filter((pair) => !removed.some((name) => pair.startsWith(`${name}=`)));
}

/** Generates requests of an operation. Most have few parameters and valid values, so that they are not all rejected. */
function requests({ path, parameters }: Operation): fc.Arbitrary<string> {
  const hostile = fc.constantFrom(...HOSTILE);
  const value = (name: string, schema: Schema) =>
    fc.oneof({ arbitrary: valuesOf(name, schema), weight: 12 }, { arbitrary: hostile, weight: 1 });
  const parameter = ({ name, schema }: Operation['parameters'][number]) => {
    const pair = value(name, schema).map((text) => `${name}=${text}`);
    return fc.oneof(
      { arbitrary: fc.constant(''), weight: 8 },
      { arbitrary: pair, weight: 4 },
      {
        arbitrary: fc.array(pair, { minLength: 2, maxLength: 3 }).map((pairs) => pairs.join('&')),
        weight: name === 'filter' ? 3 : 0,
      },
    );
  };
  const unknown = fc.oneof(
    { arbitrary: fc.constant(''), weight: 30 },
    { arbitrary: fc.tuple(hostile, hostile).map(([name, text]) => `${name}=${text}`), weight: 1 },
  );
  const summary = fc.oneof(
    { arbitrary: fc.constantFrom(...ALL_SUMMARIES), weight: 8 },
    { arbitrary: fc.oneof(hostile, fc.constantFrom('nothing', 'constructor', '__proto__')), weight: 1 },
  );
  const inQuery = parameters.filter((parameter) => parameter.in === 'query');
  const pairs = fc.tuple(...inQuery.map(parameter), unknown);
  const given = fc.oneof(
    { arbitrary: pairs.map(withoutConflicts), weight: 5 },
    { arbitrary: pairs, weight: 1 },
  );
  return fc.tuple(summary, given).map(([name, found]) => {
    const query = found.filter((pair) => pair !== '').join('&');
    // Characters that an HTTP client cannot send are encoded.
    const url = `${path.replace('{summary}', name)}?${query}`;
    return url.replace(/[^\x21-\x7e]/gu, encodeURIComponent).slice(0, MAX_URL_LENGTH);
  });
}

/** Records with hostile text in every field. */
const RECORDS: TestRecord[] = HOSTILE_TEXTS.flatMap((text, index): TestRecord[] => [
  {
    date: NOW - index * 3_600_000,
    url: `http://shop/${text}`,
    route: text,
    remoteAddr: text,
    agent: text,
    browser: text,
    language: text,
    referrer: text,
    username: text,
    visitor: text,
    country: text,
    blueprint: text,
    extra: { vars: { [text]: text } },
    status: index % 2 ? 200 : 500,
    bot: index % 3 === 0,
    duration: index,
  },
  { date: NOW - index * 40 * 24 * 3_600_000, url: `http://shop/${index}`, country: 'DE' },
]);

const directory = mkdtempSync(join(tmpdir(), 'track-usage-fuzz-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const STORAGES: [name: string, make: () => Storage][] = [
  ['MemoryStorage', () => new MemoryStorage({ hooks: ALL_SUMMARIES })],
  ['SqliteStorage', () => new SqliteStorage(join(directory, 'usage.db'), { hooks: ALL_SUMMARIES })],
];

describe.each(STORAGES)('%s', (_, make) => {
  let storage: Storage;
  let server: TestServer;
  let client: Client;
  let operations: Operation[];
  const get = (path: string) => client.request({ path: `/usage/api/v1${path}`, headers: bearer() });

  beforeAll(async () => {
    storage = await fillStorage(make(), RECORDS);
    const verifyDay: VerifyDay = (site, date) => verify({ storage, site, from: date, to: date });
    server = await serve(sourceOf(storage, { status: () => statusOf(), verify: verifyDay }), {
      token: TOKEN,
    });
    client = http1Client({ host: HOST, port: server.port, secure: false });
    const document = jsonOf(await get('/openapi.json'));
    operations = Object.entries<{ get: { parameters: Operation['parameters']; responses: Responses } }>(
      document.paths,
    ).flatMap(([path, { get }]) => {
      const json = get.responses[200].content['application/json'];
      // A batch has lines instead, with the responses of these endpoints.
      return json ? [{ path, parameters: get.parameters, responseSchema: json.schema }] : [];
    });
  });
  afterAll(async () => {
    client.close();
    await server.close();
    await storage.close();
  });

  test.each(ENDPOINTS.map(({ path }) => path))('%s: any request', async (path) => {
    const operation = operations.find((candidate) => candidate.path === path)!;
    // From the served document, so that the responses match the documentation.
    const schema = z.fromJSONSchema(operation.responseSchema as never);
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(requests(operation), async (query) => {
        const start = performance.now();
        const response = await get(query);
        // A path with dot segments is another path, which the handler leaves to the app.
        if (/\/(?:\.|%2e){1,2}(?:[/?]|$)/i.test(query.split('?')[0]!)) {
          expect(response.body.toString()).toBe('app');
          return;
        }
        checkResponse(response, performance.now() - start, schema);
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      }),
      { numRuns: RUNS, seed: SEED },
    );
    // Enough requests must be valid, or little would be tested.
    if (path !== '/site' && path !== '/status') expect(statuses.get(200)).toBeGreaterThan(RUNS / 8);
  });

  test('filters each summary by others and by unknown keys', async () => {
    for (const { name } of STANDARD_SUMMARIES) {
      for (const other of ['geo', 'urls', 'visitors', 'bots', 'nothing']) {
        for (const text of ['', 'a', '__proto__', "' OR 1=1 --", '\u0001']) {
          const filter = encodeURIComponent(`${other}:${text}`);
          const response = await get(`/summaries/${name}?filter=${filter}&compare=true`);
          expect(response.status).toBe(other === 'nothing' ? 400 : 200);
        }
      }
    }
  });

  test('limits the longest ranges', async () => {
    for (const period of ['hour', 'day', 'month', undefined]) {
      for (const from of [
        '0000-01-01',
        '0001-01-02T03',
        '1000-01-01',
        '1600-01-01',
        '1990-01-01',
        '2025-10-01',
      ]) {
        for (const compare of [false, true]) {
          const query = `from=${from}&compare=${compare}${period ? `&period=${period}` : ''}`;
          const start = performance.now();
          const response = await get(`/series?${query}`);
          expect([200, 400]).toContain(response.status);
          expect(response.body.length).toBeLessThan(MAX_BYTES);
          expect([query, performance.now() - start < MAX_MS]).toEqual([query, true]);
        }
      }
    }
  });
});

function checkResponse({ status, body, headers }: ClientResponse, ms: number, schema: z.ZodType): void {
  const text = body.toString();
  expect(status).toBeOneOf([200, 400, 404, 422]);
  expect(body.length).toBeLessThan(MAX_BYTES);
  expect(ms).toBeLessThan(MAX_MS);
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(Object.keys(headers)).not.toContain('x-evil');
  if (status !== 200) {
    parse(problem, JSON.parse(text));
    expect(text.length).toBeLessThan(10_000);
    expect(text).not.toMatch(/\n\s+at |node_modules|\/src\/|\.ts:|\.js:|SQLITE|usage\.db/i);
  } else if (String(headers['content-type']).startsWith('application/json')) {
    schema.parse(JSON.parse(text));
  } else if (String(headers['content-type']).startsWith('text/csv')) {
    expect(text).toMatch(/^[a-zA-Z,]+\r\n/);
  } else {
    expect(headers['content-type']).toBe('application/x-ndjson; charset=utf-8');
    for (const line of text.split('\n').slice(0, -1)) JSON.parse(line);
  }
}
