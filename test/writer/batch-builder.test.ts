import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { RecordBatch } from '../../src/batch.ts';
import type { CapturedFields } from '../../src/capture/record-sink.ts';
import { defineSummary } from '../../src/summaries/define.ts';
import { Enricher } from '../../src/writer/enrich/enricher.ts';
import { FreeGeoIp } from '../../src/writer/enrich/free-geo-ip.ts';
import type { GeoLocation } from '../../src/writer/enrich/geo.ts';
import {
  BatchBuilder,
  MAX_EXTRA_LENGTH,
  MAX_RECORDS,
  MAX_TEXT_LENGTH,
} from '../../src/writer/thread/batch-builder.ts';
import { CustomSummaries } from '../../src/writer/thread/custom-summaries.ts';
import { TextBudget } from '../../src/writer/thread/text-budget.ts';
import { fieldsOf } from '../journal/support.ts';

const HEADER = { site: 'default', serverName: 'default' };
const TAGS = defineSummary({ name: 'tags', key: () => null });

function builder(
  maxRecords?: number,
  customSummaries = new CustomSummaries([], () => {}),
  enricher = new Enricher(undefined),
) {
  const built = new BatchBuilder(enricher, 'default', customSummaries, maxRecords);
  built.begin(HEADER);
  return built;
}

/** Adds records until the batch is full or has `limit` records, and returns their number. */
function fill(
  built: BatchBuilder,
  fieldsAt: (index: number) => Partial<CapturedFields>,
  limit: number,
): number {
  let count = 0;
  for (; !built.isFull && count < limit; count++) {
    built.add({ ...fieldsOf('http://localhost/'), ...fieldsAt(count) });
  }
  return count;
}

const extraOf = (length: number) => `{"vars":{"a":"${'x'.repeat(length - 17)}"}}`;

test('a batch is full at the maximum number of records', () => {
  expect(MAX_RECORDS).toBe(32_768);
  expect(fill(builder(), () => ({}), 2 * MAX_RECORDS)).toBe(MAX_RECORDS);
  expect(fill(builder(100), () => ({}), 200)).toBe(100);
});

test('a batch is full at the maximum length of distinct text, counting repeated text once', () => {
  expect(MAX_TEXT_LENGTH).toBe(2 ** 20);
  const built = builder();
  const url = (i: number) => ({ url: `${i}`.padEnd(4_096, 'x') });
  const count = fill(built, url, 1_000);
  expect(built.batch.textLength).toBeGreaterThanOrEqual(MAX_TEXT_LENGTH);
  expect(built.batch.textLength).toBeLessThan(MAX_TEXT_LENGTH + 4_096);
  // Nearly all text is that of the URLs.
  expect(count).toBe(MAX_TEXT_LENGTH / 4_096);
  expect(fill(builder(), () => url(0), 1_000)).toBe(1_000);
});

test.each([
  ['if they are not stored', 'reduced', Number.POSITIVE_INFINITY],
  ['beyond the budget of texts', true, 1],
] as const)('user agents count towards the length of text %s', (_, userAgent, maxTexts) => {
  const built = new BatchBuilder(
    new Enricher(undefined),
    'default',
    new CustomSummaries([], () => {}),
    undefined,
    new TextBudget(maxTexts),
    { remoteAddr: true, userAgent },
  );
  built.begin(HEADER);
  const agent = (i: number) => ({ agent: `${i}`.padEnd(1_024, 'x') });
  expect(fill(built, agent, 2_000)).toBeLessThanOrEqual(MAX_TEXT_LENGTH / 1_024 + 1);
  built.begin(HEADER);
  expect(fill(built, () => ({ agent: 'curl/8.5.0' }), 2_000)).toBe(2_000);
});

test('a batch is full with exactly its maximum of text', () => {
  for (const [missing, isFull] of [
    [1, false],
    [0, true],
  ] as const) {
    const built = builder();
    built.add(fieldsOf('/'));
    built.add(fieldsOf('x'.repeat(MAX_TEXT_LENGTH - built.batch.textLength - missing)));
    expect(built.batch.textLength).toBe(MAX_TEXT_LENGTH - missing);
    expect(built.isFull).toBe(isFull);
  }
});

test('a batch is full at the maximum length of vars and route parameters, even if they are equal', () => {
  expect(MAX_EXTRA_LENGTH).toBe(8 * 2 ** 20);
  const extra = extraOf(16_384);
  expect(extra).toHaveLength(16_384);
  expect(fill(builder(), () => ({ extra }), 1_000)).toBe(MAX_EXTRA_LENGTH / extra.length);
});

test('limits grow in proportion with larger batches, and stay the same with smaller ones', () => {
  const extra = extraOf(16_384);
  expect(fill(builder(4 * MAX_RECORDS), () => ({ extra }), 4_000)).toBe(
    (4 * MAX_EXTRA_LENGTH) / extra.length,
  );
  const url = (i: number) => ({ url: `${i}`.padEnd(4_096, 'x') });
  expect(fill(builder(4 * MAX_RECORDS), url, 4_000)).toBe((4 * MAX_TEXT_LENGTH) / 4_096);
  expect(fill(builder(1_000), () => ({ extra }), 4_000)).toBe(MAX_EXTRA_LENGTH / extra.length);
});

test('the next batch starts empty', () => {
  const customSummaries = new CustomSummaries([TAGS], () => {});
  const built = builder(100, customSummaries);
  const extra = `{"vars":{"a":"${'x'.repeat(100_000)}"},"keys":{"tags":["a","b"]}}`;
  for (let batch = 0; batch < 3; batch++) {
    built.begin(HEADER);
    expect(fill(built, (i) => ({ extra, url: `http://${batch}/${i}`, status: 200 + i }), 200)).toBe(84);
    built.begin(HEADER);
    expect(built.isFull).toBe(false);
    expect(fill(built, () => ({ url: `http://small/${batch}` }), 2)).toBe(2);
    const { length, extra: left, strings, customKeys: keys } = built.batch;
    expect({ length, left, more: keys.get('tags')?.more }).toEqual({
      length: 2,
      left: new Map(),
      more: new Map(),
    });
    expect(strings).toContain(`http://small/${batch}`);
    expect(strings.filter((text) => text?.startsWith('http://'))).toHaveLength(1);
    expect(built.batch.record(1)).toMatchObject({ status: 200, url: `http://small/${batch}`, vars: null });
  }
});

test('does not reuse texts and values of the previous batch', () => {
  const built = builder();
  const one = (n: number): CapturedFields => ({
    ...fieldsOf(`http://localhost/${n}`),
    status: 200 + n,
    acceptLanguage: 'de',
    agent: 'curl/8.5.0',
    remoteAddr: '1.2.3.4',
  });
  for (const first of [0, 5, 3]) {
    built.begin(HEADER);
    // The same texts get different IDs.
    for (let n = 0; n < first; n++) built.add({ ...one(n), acceptLanguage: '', agent: '', remoteAddr: '' });
    built.add(one(first));
    expect(built.batch.record(first)).toMatchObject({
      url: `http://localhost/${first}`,
      language: 'de',
      userAgent: { string: 'curl/8.5.0', browser: 'curl' },
      remoteAddr: '1.2.3.4',
      country: null,
    });
    expect(built.batch.at('state', first)).toBe(`${200 + first}`);
  }
});

test('derived data of a text is not used for another text that has the same ID in the next batch', () => {
  const geo = (address: string) => ({ country: address === '1.1.1.1' ? 'AU' : 'DE', geo: { address } });
  const built = builder(undefined, undefined, new Enricher(geo));
  for (const [agent, browser, remoteAddr, country] of [
    ['curl/8.5.0', 'curl', '1.1.1.1', 'AU'],
    ['httpie/3.2', 'HTTPie', '2.2.2.2', 'DE'],
  ] as const) {
    built.begin(HEADER);
    built.add({ ...fieldsOf('/'), agent, remoteAddr });
    expect(built.batch.record(0)).toMatchObject({
      userAgent: { string: agent, browser },
      country,
      geo: { address: remoteAddr },
    });
  }
});

test('user agents, languages and addresses are looked up once per batch', () => {
  class CountingEnricher extends Enricher {
    readonly lookups: string[] = [];
    override userAgent(agent: string) {
      this.lookups.push(`agent ${agent}`);
      return super.userAgent(agent);
    }
    override language(header: string) {
      this.lookups.push(`language ${header}`);
      return super.language(header);
    }
    override locate(address: string) {
      this.lookups.push(`address ${address}`);
      return super.locate(address);
    }
  }
  const enricher = new CountingEnricher(undefined);
  const built = builder(undefined, undefined, enricher);
  const known = { agent: 'curl/8.5.0', acceptLanguage: 'de', remoteAddr: '1.2.3.4' };
  const unknown = { agent: '', acceptLanguage: '', remoteAddr: '' };
  for (const fields of [known, unknown, known, unknown]) built.add({ ...fieldsOf('/'), ...fields });
  expect(enricher.lookups).toEqual([
    'language de',
    'agent curl/8.5.0',
    'address 1.2.3.4',
    'language ',
    'agent ',
    'address ',
  ]);
});

test('every record of a batch that exceeds its initial capacity is complete, with any length of text', () => {
  const built = builder(undefined, new CustomSummaries([TAGS], () => {}));
  const urlOf = (i: number) => `http://localhost/${i}/${(i % 500 === 0 ? '😀ä' : '').repeat(1_000)}`;
  const length = 2 * built.batch.capacity + 1;
  for (let i = 0; i < length; i++) {
    const extra = `{"keys":{"tags":["${i}"]}}`;
    built.add({
      ...fieldsOf(urlOf(i)),
      date: i,
      duration: 2 * i,
      contentLength: 3 * i,
      status: i,
      credentials: true,
      extra,
    });
  }
  const { batch } = built;
  const tags = batch.customKeys.get('tags')!.first;
  for (let i = 0; i < length; i++) {
    expect(batch.record(i)).toMatchObject({
      url: urlOf(i),
      method: 'GET',
      date: i,
      duration: 2 * i,
      contentLength: 3 * i,
      status: i,
      authorization: true,
    });
    expect(batch.strings[tags[i]!]).toBe(`${i}`);
  }
});

test.each([
  ['http://a/b', '/b', null],
  ['http://a', '/', null],
  ['http://a?b=/c', '/', { b: '/c' }],
  ['/b?c=1&d=2&c=3&c=', '/b', { c: ['1', '3', ''], d: '2' }],
  ['/b?c=http://d/e', '/b', { c: 'http://d/e' }],
  ['http://a/b?c=http://d/e', '/b', { c: 'http://d/e' }],
  ['http://a/b?', '/b', null],
])('splits the URL %s', (url, path, query) => {
  const built = builder();
  built.add(fieldsOf(url));
  const { path: found, query: values } = built.batch.record(0);
  expect(found).toBe(path);
  expect(values && { ...values }).toEqual(query);
});

test('userAgent is null without a User-Agent header', () => {
  const built = builder();
  built.add({ ...fieldsOf('http://localhost/'), agent: '' });
  expect(built.batch.record(0).userAgent).toBe(null);
});

test('a batch sent to another thread has all of its records', () => {
  const built = builder();
  for (const url of ['/a', '/b', '/c']) built.add({ ...fieldsOf(url), extra: '{"vars":{"n":1}}' });
  const { batch } = built;
  const data = batch.toData();
  const columns = [data.date, data.duration, data.contentLength, data.status, data.flags, data.text.url];
  expect(columns.map(({ length }) => length)).toEqual([3, 3, 3, 3, 3, 3]);
  const copy = RecordBatch.of(structuredClone(data));
  expect(copy.length).toBe(3);
  for (let i = 0; i < 3; i++) expect(copy.record(i)).toEqual(batch.record(i));
  expect(batch.units).toBe(batch.textLength + 3 * '{"vars":{"n":1}}'.length);
});

test('a record has the fields of the journal and those derived from them', () => {
  const built = builder();
  const first: CapturedFields = {
    ...fieldsOf('http://localhost/a?b=c'),
    date: 1_700_000_000_123,
    contentLength: 6,
    duration: 7,
    status: 503,
    credentials: true,
    method: 'PUT',
    route: '/:a',
    protocol: 'HTTP/2.0',
    remoteAddr: '1.2.3.4',
    forwardedFor: '5.6.7.8',
    agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    acceptLanguage: 'de-AT,de;q=0.9,en;q=0.8',
    referrer: 'http://other/',
    username: 'ada',
    visitor: 'v1',
    blueprint: 'blog',
    extra: '{"vars":{"plan":"gold"},"routeParams":{"a":"a"}}',
  };
  const bot = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)';
  for (const fields of [first, first, { ...fieldsOf('http://localhost/'), agent: bot, visitor: 'v2' }])
    built.add(fields);
  const { batch } = built;
  const expected = {
    date: first.date,
    site: 'default',
    serverName: 'default',
    method: 'PUT',
    url: 'http://localhost/a?b=c',
    path: '/a',
    query: { b: 'c' },
    route: '/:a',
    routeParams: { a: 'a' },
    protocol: 'HTTP/2.0',
    status: 503,
    class: 'page',
    contentLength: 6,
    received: 0,
    duration: 7,
    remoteAddr: '1.2.3.4',
    forwardedFor: '5.6.7.8',
    userAgent: {
      ...{ string: first.agent, browser: 'Firefox', version: '140.0', platform: 'Linux' },
      device: 'desktop',
    },
    language: 'de-AT',
    referrer: 'http://other/',
    referrerHost: 'other',
    campaign: null,
    username: 'ada',
    authorization: true,
    visitor: 'v1',
    country: null,
    geo: null,
    bot: false,
    vars: { plan: 'gold' },
    blueprint: 'blog',
  };
  expect(JSON.parse(JSON.stringify(batch.record(0)))).toEqual(expected);
  expect(batch.record(1)).toEqual(batch.record(0));
  expect([batch.at('state', 0), batch.at('state', 2)]).toEqual(['503', '200']);
  expect([batch.at('botName', 0), batch.at('botName', 2)]).toEqual([null, 'Googlebot']);
  expect(batch.record(2)).toMatchObject({
    bot: true,
    visitor: null,
    authorization: false,
    language: null,
    vars: null,
  });
});

test('a batch has the custom keys determined at capture', () => {
  const built = builder(undefined, new CustomSummaries([TAGS], () => {}));
  for (const extra of [
    '{"keys":{"tags":["a","b","c"]}}',
    '',
    '{"keys":{"other":["d"]}}',
    '{"vars":{}}',
    '{"keys":{"tags":["a"]}}',
  ]) {
    built.add({ ...fieldsOf('http://localhost/'), extra });
  }
  const { strings, customKeys } = built.batch;
  const { first, more } = customKeys.get('tags')!;
  expect([...first.slice(0, 5)].map((id) => strings[id])).toEqual(['a', null, null, null, 'a']);
  expect([...more].map(([index, ids]) => [index, ids.map((id) => strings[id])])).toEqual([[0, ['b', 'c']]]);
});

test('keys of summaries in modules are determined when the batch is complete', async () => {
  const clients = defineSummary({
    name: 'clients',
    module: new URL('../summaries/fixtures/network.js', import.meta.url),
  });
  const customSummaries = new CustomSummaries([clients], () => {});
  await customSummaries.load();
  const built = builder(undefined, customSummaries);
  for (const agent of ['curl/8.5.0', '']) built.add({ ...fieldsOf('/'), agent });
  expect(built.batch.customKeys.has('clients')).toBe(false);
  built.complete();
  const { strings, customKeys: keys } = built.batch;
  expect([...keys.get('clients')!.first.slice(0, 2)].map((id) => strings[id])).toEqual(['bot', null]);
});

/** Service that knows some addresses. */
class KnownLocations extends FreeGeoIp {
  readonly requested: [addresses: string[], patient: boolean | undefined][] = [];
  readonly #locations: Record<string, GeoLocation>;

  constructor(locations: Record<string, GeoLocation>) {
    super({ endpoint: 'http://localhost/', countryPaths: [] }, () => {});
    this.#locations = locations;
  }

  override async locate(addresses: Iterable<string>, patient?: boolean) {
    this.requested.push([[...addresses], patient]);
  }

  override find(address: string): GeoLocation {
    return this.#locations[address] ?? { country: null, geo: null };
  }
}

test('addresses that the database does not know are located by the service, for all records of a batch', async () => {
  const service = new KnownLocations({
    '2.2.2.2': { country: 'FR', geo: { city: 'Paris' } },
    '3.3.3.3': { country: 'IT', geo: null },
    '4.4.4.4': { country: null, geo: { city: 'Atlantis' } },
  });
  const geo = (address: string) => ({ country: address === '1.1.1.1' ? 'AU' : null, geo: null });
  const built = builder(100, undefined, new Enricher(geo, service));
  const records = [
    ['1.1.1.1', ''],
    ['2.2.2.2', ''],
    ['3.3.3.3', ''],
    ['2.2.2.2', '{"vars":{"plan":"gold"}}'],
    ['4.4.4.4', '{"vars":{"plan":"free"}}'],
    ['2.2.2.2', ''],
    ['', ''],
  ] as const;
  for (const [remoteAddr, extra] of records) built.add({ ...fieldsOf('/'), remoteAddr, extra });
  await built.locate();
  expect(service.requested).toEqual([[['2.2.2.2', '3.3.3.3', '4.4.4.4', ''], true]]);
  const { batch } = built;
  const found = records.map((_, i) => batch.record(i)).map(({ country, geo, vars }) => [country, geo, vars]);
  expect(found).toEqual([
    ['AU', null, null],
    ['FR', { city: 'Paris' }, null],
    ['IT', null, null],
    ['FR', { city: 'Paris' }, { plan: 'gold' }],
    [null, null, { plan: 'free' }],
    ['FR', { city: 'Paris' }, null],
    [null, null, null],
  ]);
  expect([...batch.extra.keys()].sort()).toEqual([1, 3, 4, 5]);
});

test('of a service, only the country is stored if addresses are not', async () => {
  const geo = { ip: '2.2.2.2', hostname: '2-2-2-2.example.net' };
  const enricher = new Enricher(undefined, new KnownLocations({ '2.2.2.2': { country: 'FR', geo } }));
  const stored = { remoteAddr: false, userAgent: true };
  const keys = new CustomSummaries([], () => {});
  const built = new BatchBuilder(enricher, 'default', keys, undefined, undefined, stored);
  built.begin(HEADER);
  for (const extra of ['', '{"vars":{"plan":"gold"}}']) {
    built.add({ ...fieldsOf('/'), remoteAddr: '2.2.2.2', extra });
  }
  await built.locate();
  const found = [0, 1].map((i) => built.batch.record(i));
  expect(found).toMatchObject([
    { country: 'FR', remoteAddr: null, geo: null, vars: null },
    { country: 'FR', remoteAddr: null, geo: null, vars: { plan: 'gold' } },
  ]);
});

test('locating changes nothing behind the end of a batch', async () => {
  const service = new KnownLocations({ '2.2.2.2': { country: 'FR', geo: { city: 'Paris' } } });
  const built = builder(undefined, undefined, new Enricher(undefined, service));
  for (const records of [2, 1]) {
    built.begin(HEADER);
    for (let i = 0; i < records; i++) built.add({ ...fieldsOf('/'), remoteAddr: '2.2.2.2' });
    await built.locate();
    expect(built.batch.extra.size).toBe(records);
  }
});

test('a full batch does not wait for the service, and without a service there is nothing to wait for', async () => {
  const service = new KnownLocations({});
  const full = builder(1, undefined, new Enricher(undefined, service));
  full.add(fieldsOf('/'));
  await full.locate();
  expect(service.requested).toEqual([[['127.0.0.1'], false]]);
  expect(builder().locate()).toBe(undefined);
});

test('texts of a batch do not keep the longer texts that they are part of in memory', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const batch = new RecordBatch();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 32; i++) {
    // Longer ones would not be part of V8's heap.
    const long = Buffer.alloc(2 ** 19, `${i} `).toString('latin1');
    batch.intern(long.slice(100, 200));
  }
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 * 2 ** 20);
  expect(batch.strings).toHaveLength(33);
});

test('a new batch is empty, and of the default site', () => {
  const batch = new RecordBatch();
  expect({ site: batch.site, length: batch.length, strings: batch.strings }).toEqual({
    site: 'default',
    length: 0,
    strings: [null],
  });
});

test('keys of URLs take no more texts than the budget, and are not stored where they equal the URL', () => {
  const texts = new TextBudget(3);
  const given = [100, texts, undefined, undefined, { by: 'path', groupsNotFound: true }] as const;
  const built = new BatchBuilder(
    new Enricher(undefined),
    'default',
    new CustomSummaries([], () => {}),
    ...given,
  );
  built.begin(HEADER);
  // The address and the user agent are texts, too.
  for (const url of ['/a', '/a?x', 'http://h/a', 'http://h/b', 'http://h/c?d']) {
    built.add({ ...fieldsOf(url), remoteAddr: '', agent: '' });
  }
  built.add({ ...fieldsOf('http://h/d'), remoteAddr: '', agent: '', status: 404 });
  const { batch } = built;
  const keys = Array.from({ length: batch.length }, (_, i) => [batch.at('url', i), batch.at('urlKey', i)]);
  expect(keys).toEqual([
    ['/a', null],
    ['/a?x', '/a'],
    ['http://h/a', '/a'],
    // Both are beyond the budget.
    ['', null],
    ['', null],
    ['', '(not found)'],
  ]);
});

test('columns are derived from the URL, the referrer, the user agent and the status', () => {
  const built = builder();
  const add = (url: string, fields: Partial<CapturedFields>) => built.add({ ...fieldsOf(url), ...fields });
  const URL = 'https://www.example.org:443/a/b?utm_source=mail';
  add(URL, { referrer: 'https://example.org/other', agent: 'curl/8.5.0' });
  add(URL, { referrer: 'https://www.Search.example/?q=a', agent: '', status: 404 });
  add('/relative', { referrer: 'nonsense', agent: '' });
  add('/relative', { referrer: '', agent: '' });
  const { batch } = built;
  const columns = ['path', 'campaign', 'referrerHost', 'device', 'notFound'] as const;
  const found = Array.from({ length: batch.length }, (_, i) => columns.map((column) => batch.at(column, i)));
  expect(found).toEqual([
    ['/a/b', 'mail', '(internal)', 'bot', null],
    ['/a/b', 'mail', 'search.example', null, URL],
    ['/relative', null, null, null, null],
    ['/relative', null, null, null, null],
  ]);
  // A new batch has other IDs.
  built.begin(HEADER);
  add('http://h/c', { referrer: 'http://h/' });
  expect(columns.slice(0, 3).map((column) => built.batch.at(column, 0))).toEqual(['/c', null, '(internal)']);
});

test('derived texts take no room in the budget, and are found for URLs beyond it', () => {
  const texts = new TextBudget(3);
  const built = new BatchBuilder(
    new Enricher(undefined),
    'default',
    new CustomSummaries([], () => {}),
    100,
    texts,
  );
  built.begin(HEADER);
  for (const query of ['?a', '?b', '?c', '?d']) {
    built.add({ ...fieldsOf(`http://h/a${query}`), remoteAddr: '', agent: '' });
  }
  built.add({ ...fieldsOf('http://h/b'), remoteAddr: '', agent: '', referrer: 'http://over.example/' });
  const { batch } = built;
  expect(texts.rejected).toBe(3);
  const found = Array.from({ length: batch.length }, (_, i) => [batch.at('url', i), batch.at('path', i)]);
  expect(found).toEqual([
    ['http://h/a?a', '/a'],
    ['http://h/a?b', '/a'],
    ['http://h/a?c', '/a'],
    ['', '/a'],
    ['', ''],
  ]);
  expect(batch.at('referrerHost', 4)).toBe('');
});
