import { RecordBatch } from '../src/batch.ts';
import type { UsageQuery } from '../src/query/query.ts';
import type { RangeName } from '../src/query/range.ts';
import type { Storage } from '../src/query/storage.ts';
import type { StorageWriter, WriterContext } from '../src/storage/contract.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, integer, spread, table, timed } from './support/figures.ts';
import { load } from './support/library.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { randomNumbers, zipf } from './support/random.ts';
import { type Engine, engineOf, openWriter } from './support/storages.ts';

const DAY = 24 * 60 * 60 * 1000;
const ENGINES = ['sqlite', 'postgres', 'clickhouse'];
const HOOKS = [
  'urls',
  'referrers',
  'geo',
  'browsers',
  'remotes',
  'status',
  'user-agents',
  'visitors',
  'bots',
];
/** Times for which records and hours are kept, in days. */
const RECORDS = 30;
const HOURS = 90;
/** Maximum number of records per batch. */
const BATCH = 100_000;
const URLS = 10_000;
/** Number of addresses and visitors that return, and share of requests from those of a single day. */
const RETURNING = 20_000;
const NEW = 0.05;
const NEW_PER_DAY = 4_000;
const RANGES: readonly RangeName[] = ['30d', '12mo'];
const PANELS = ['urls', 'referrers', 'geo', 'browsers', 'remotes', 'status'];

type Parts = typeof import('../src/summaries/coverage.ts') &
  typeof import('../src/summaries/fold.ts') &
  typeof import('../src/summaries/periods.ts');

interface Result {
  bytes: number;
  /** Time to write the year, in s. */
  seconds: number;
  /** Times of the dashboard's first screen by range, in ms: the first, and the later ones. */
  screens: Record<string, { first: number; later: number[] }>;
}

interface Open {
  engine: Engine;
  database: Awaited<ReturnType<Engine['start']>>;
  storage: Storage;
  writer: StorageWriter;
  result: Result;
}

/** Stores the requests of a year, as they are kept with a retention, and measures size and queries. */
export async function run({ quick, storage, rounds = 5 }: BenchOptions): Promise<Report> {
  const engines = storage === undefined ? ENGINES : [engineOf(storage).name];
  const perDay = quick ? 2_740 : 273_973;
  const parts: Parts = Object.assign(
    {},
    ...(await Promise.all(
      ['summaries/coverage.js', 'summaries/fold.js', 'summaries/periods.js'].map((part) => load(part)),
    )),
  );
  const zone = parts.calendar('UTC');
  const end = zone.dayOf(Date.now());
  const directory = newDirectory();
  const opened: Open[] = [];
  let requests = 0;
  let rss = 0;
  try {
    for (const name of engines) opened.push(await open(engineOf(name), directory));
    const { summaries } = opened[0]!.storage;
    const year = new Year([true, false].map((isBot) => parts.coverageKey(summaries, isBot)!));
    const position = { position: 0, ordinal: 0 };
    for (let day = 0; day < 365; day++) {
      const start = end - (365 - day) * DAY;
      const age = 365 - day;
      for (let done = 0; done < perDay; done += BATCH) {
        const records = year.records(day, start, done, Math.min(BATCH, perDay - done), perDay);
        requests += records.length;
        const deltas = parts
          .fold(records, summaries, zone)
          .filter(({ period }) => period !== 'hour' || age <= HOURS);
        const from = { ...position };
        position.position += 1;
        position.ordinal += records.length;
        const kept =
          age <= RECORDS ? records : Object.assign(new RecordBatch(1), { strings: records.strings });
        const batch = { journal: 'year', from, to: { ...position }, records: kept, deltas };
        for (const { engine, writer, result } of opened) {
          const before = performance.now();
          const admitted = (await writer.admit?.(batch)) ?? batch;
          if (!(await writer.apply(admitted)))
            throw new Error(`${engine.name} refused a batch of day ${day}`);
          result.seconds += (performance.now() - before) / 1000;
        }
        rss = Math.max(rss, process.memoryUsage.rss());
      }
      if (day % 30 === 0) progress(`year: day ${day}, ${integer(requests)} requests`);
    }
    for (const each of opened) {
      progress(`year: queries of ${each.engine.name}`);
      await each.writer.close();
      each.result.bytes = await each.database.bytes();
      await query(each, rounds, requests);
    }
  } finally {
    for (const { storage: each, database } of opened) {
      await each.close();
      await database.stop();
    }
    removeDirectory(directory);
  }
  const data = Object.fromEntries(opened.map(({ engine, result }) => [engine.name, result]));
  return {
    title: 'A year',
    method:
      `${integer(requests)} requests over 365 days, with ${integer(URLS)} URLs. ${integer(RETURNING)} addresses and visitors ` +
      `return (Zipf distribution), and ${integer(NEW_PER_DAY)} more per day do not. Nine summaries count all requests. ` +
      `Hours of ${HOURS} days and records of ${RECORDS} days are stored, as with a retention. All storages receive the same ` +
      'batches in one process. The first screen of the dashboard runs nine queries: once after the storage was opened for ' +
      `reading (*first*), then ${rounds} more times. Median (min–max).`,
    tables: [{ title: 'Size and first screen', text: tableOf(data, rss) }],
    data: { ...data, requests, rss },
  };
}

async function open(engine: Engine, directory: string): Promise<Open> {
  const database = await engine.start(directory);
  const storage = await engine.storage(database.url, HOOKS, {
    retention: { records: `${RECORDS + 2}d`, hour: `${HOURS + 2}d` },
  });
  const { retention, maxKeys } = storage;
  const context: WriterContext = { site: 'default', timeZone: 'UTC', durable: false, retention, maxKeys };
  const writer = await openWriter(storage, context);
  return { engine, database, storage, writer, result: { bytes: 0, seconds: 0, screens: {} } };
}

async function query({ engine, storage, result }: Open, rounds: number, requests: number): Promise<void> {
  const { query: queries } = storage;
  for (const range of RANGES) {
    // A new reading end has nothing in memory.
    await storage.close();
    const first = await timed(() => screen(queries, range));
    const later: number[] = [];
    for (let i = 0; i < rounds; i++) later.push(await timed(() => screen(queries, range)));
    result.screens[range] = { first, later };
  }
  const { totals } = await queries.totals({ range: 'all' });
  if (totals.hits !== requests) throw new Error(`${engine.name}: ${totals.hits} hits instead of ${requests}`);
}

async function screen(query: UsageQuery, range: RangeName): Promise<void> {
  await query.site();
  await Promise.all([
    query.totals({ range, compare: true }),
    query.series({ range, compare: true }),
    ...PANELS.map((summary) => query.top(summary, { range })),
  ]);
}

/** Generates the records of a year. All texts are interned once, so that generating is fast. */
class Year {
  readonly #random = randomNumbers(2_026);
  readonly #batch = new RecordBatch(BATCH);
  readonly #urlOf = zipf(URLS, this.#random);
  readonly #clientOf = zipf(RETURNING, this.#random);
  readonly #urls = this.#texts(URLS, (n) => `https://shop.example.org/products/${n}?list=new`);
  readonly #addresses = this.#texts(RETURNING, (n) => `203.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
  readonly #visitors = this.#texts(RETURNING, (n) => n.toString(16).padStart(32, '0'));
  readonly #referrers = this.#texts(200, (n) => `https://www.site-${n % 40}.example/list/${n}`);
  readonly #agents = this.#texts(
    500,
    (n) => `Mozilla/5.0 (X11; Linux x86_64) Chrome/${90 + (n % 60)}.${n} Safari/537.36`,
  );
  readonly #browsers = this.#texts(12, (n) => `Browser ${n}`);
  readonly #countries = this.#texts(60, (n) => String.fromCharCode(65 + (n % 26), 65 + Math.floor(n / 26)));
  readonly #constant = this.#texts(4, (n) => ['shop', 'GET', 'HTTP/1.1', 'en-US'][n]!);
  readonly #states = new Map(
    [200, 304, 404, 500].map((status) => [status, this.#batch.intern(String(status))]),
  );
  readonly #fixed: number;
  #today = -1;

  /** @param more Texts that folding adds to a batch. */
  constructor(more: readonly string[]) {
    for (const text of more) this.#batch.intern(text);
    // Its ID is kept by the batch, and must not be among the texts of a day.
    this.#batch.others();
    this.#fixed = this.#batch.strings.length;
  }

  #texts(count: number, textOf: (n: number) => string): Int32Array {
    return Int32Array.from({ length: count }, (_, n) => this.#batch.intern(textOf(n)));
  }

  records(day: number, start: number, first: number, count: number, perDay: number): RecordBatch {
    const batch = this.#batch;
    if (day !== this.#today) {
      this.#today = day;
      // The addresses and visitors of a single day replace those of the day before.
      batch.strings.length = this.#fixed;
      for (let n = 0; n < NEW_PER_DAY; n++) {
        batch.strings.push(`2001:db8:${day.toString(16)}:${n.toString(16)}::1`);
        batch.strings.push(`f${(day * NEW_PER_DAY + n).toString(16).padStart(31, '0')}`);
      }
    }
    batch.length = count;
    const { text } = batch;
    const [server, method, protocol, language] = this.#constant;
    for (let i = 0; i < count; i++) {
      const chance = this.#random();
      const status = chance < 0.9 ? 200 : chance < 0.96 ? 304 : chance < 0.995 ? 404 : 500;
      batch.date[i] = start + Math.floor(((first + i) / perDay) * DAY);
      batch.status[i] = status;
      batch.contentLength[i] = status === 304 ? 0 : 500 + Math.floor(this.#random() * 20_000);
      batch.duration[i] = 300 + Math.floor(this.#random() * 30_000);
      const client = this.#clientOf();
      const once = this.#random() < NEW ? this.#fixed + 2 * Math.floor(this.#random() * NEW_PER_DAY) : -1;
      text.serverName[i] = server!;
      text.method[i] = method!;
      text.protocol[i] = protocol!;
      text.language[i] = language!;
      text.url[i] = this.#urls[this.#urlOf()]!;
      text.remoteAddr[i] = once < 0 ? this.#addresses[client]! : once;
      text.visitor[i] = once < 0 ? this.#visitors[client]! : once + 1;
      text.referrer[i] = chance < 0.3 ? 0 : this.#referrers[client % 200]!;
      text.agent[i] = this.#agents[client % 500]!;
      text.browser[i] = this.#browsers[client % 12]!;
      text.country[i] = this.#countries[client % 60]!;
      text.state[i] = this.#states.get(status)!;
    }
    return batch;
  }
}

function tableOf(data: Record<string, Result>, rss: number): string {
  const ms = decimals(0);
  return table(
    [
      '',
      'size, MB',
      'writing, s',
      ...RANGES.flatMap((range) => [`${range}, first, ms`, `${range}, ms`]),
      'process, MB',
    ],
    Object.entries(data).map(([name, { bytes, seconds, screens }]) => [
      name,
      integer(bytes / 1e6),
      integer(seconds),
      ...RANGES.flatMap((range) => [ms(screens[range]!.first), spread(screens[range]!.later, ms)]),
      integer(rss / 1e6),
    ]),
  );
}
