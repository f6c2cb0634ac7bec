import { randomUUID } from 'node:crypto';
import type { Storage } from '../src/query/storage.ts';
import type { Measures, Span, WriterContext } from '../src/storage/contract.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, integer, table } from './support/figures.ts';
import { load } from './support/library.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { Simulation } from './support/simulation.ts';
import { type Engine, engineOf, openWriter } from './support/storages.ts';

const DAY = 24 * 60 * 60 * 1000;
const ENGINES = ['sqlite', 'postgres', 'mysql', 'redis'];
const RETENTION = { records: '30d', hour: '60d', day: '1y', month: '3y' } as const;
const HOOKS = ['urls', 'remotes', 'user-agents', 'visitors'];
/** Number of simulated days between two prunings, and between two samples of the size. */
const PRUNED_EVERY = 7;
const SAMPLED_EVERY = 365;

type Parts = typeof import('../src/storage/prune.ts') &
  typeof import('../src/storage/prune-plan.ts') &
  typeof import('../src/summaries/fold.ts') &
  typeof import('../src/summaries/periods.ts');

interface Result {
  /** Size in bytes at the end of each year. */
  sizes: number[];
  /** Duration of the longest step of the pruning, in ms, and what it deleted. */
  longest: number;
  longestPart: string;
  /** Number of rows deleted. */
  pruned: number;
  requests: number;
  /** Total time, in s. */
  seconds: number;
}

/** Simulates ten years of a site with retention, and compares the results with an independent count. */
export async function run({ quick, storage }: BenchOptions): Promise<Report> {
  const engines = storage === undefined ? ENGINES : [engineOf(storage).name];
  const [years, perDay] = quick ? [3, 100] : [10, 500];
  const data: Record<string, Result> = {};
  for (const name of engines) data[name] = await simulate(engineOf(name), years, perDay);
  return {
    title: 'Ten years',
    method:
      `${integer(perDay)} requests per day for ${years} years, with the retention ` +
      `${JSON.stringify(RETENTION)} and four summaries. Most keys of a day never occur again. Expired data is deleted every ` +
      `${PRUNED_EVERY} simulated days. At the end, the totals of every month, of every kept day, and of the keys of the last ` +
      'month are compared with an independent count.',
    tables: [{ title: 'Size at the end of each year', text: tableOf(data) }],
    data,
  };
}

async function simulate(engine: Engine, years: number, perDay: number): Promise<Result> {
  const parts: Parts = Object.assign(
    {},
    ...(await Promise.all(
      ['storage/prune.js', 'storage/prune-plan.js', 'summaries/fold.js', 'summaries/periods.js'].map((part) =>
        load(part),
      ),
    )),
  );
  const zone = parts.calendar('Europe/Berlin');
  const directory = newDirectory();
  const database = await engine.start(directory);
  const started = performance.now();
  try {
    const storage = await engine.storage(database.url, HOOKS, { retention: RETENTION });
    const { retention, maxKeys, summaries } = storage;
    const context: WriterContext = {
      site: 'default',
      timeZone: zone.timeZone,
      durable: false,
      retention,
      maxKeys,
    };
    const writer = await openWriter(storage, context);
    const { maintenance } = writer;
    if (!maintenance) throw new Error(`${engine.name} deletes nothing`);
    const simulation = new Simulation(perDay);
    const expected = new Map<number, Measures>();
    const keys = new Map<string, number>();
    const holder = randomUUID();
    const result: Result = { sizes: [], longest: 0, longestPart: '', pruned: 0, requests: 0, seconds: 0 };
    // The servers' own clocks decide what has expired, so the simulation ends today.
    const now = zone.next('day', zone.dayOf(Date.now()));
    let start = zone.dayOf(now - years * 365.25 * DAY);
    let from = { position: 0, ordinal: 0 };
    for (let day = 0; start < now; day++) {
      const next = zone.next('day', start);
      const records = simulation.day(day, start, next - start);
      const batch = {
        journal: 'simulation',
        from,
        to: { position: day + 1, ordinal: from.ordinal + records.length },
        records,
        deltas: parts.fold(records, summaries, zone),
      };
      const admitted = (await writer.admit?.(batch)) ?? batch;
      if (!(await writer.apply(admitted))) throw new Error(`${engine.name} refused day ${day}`);
      from = batch.to;
      count(records, start, expected);
      if (zone.monthOf(start) === zone.monthOf(now - DAY)) {
        for (let i = 0; i < records.length; i++) {
          const url = records.at('url', i)!;
          keys.set(url, (keys.get(url) ?? 0) + 1);
        }
      }
      result.requests += records.length;
      if (day % PRUNED_EVERY === 0 || next >= now) {
        const plan = parts.prunePlan(retention, zone, start);
        let before = performance.now();
        for await (const { part, rows } of parts.pruneSteps(maintenance, plan, holder)) {
          const took = performance.now() - before;
          if (took > result.longest) Object.assign(result, { longest: took, longestPart: part });
          result.pruned += rows;
          before = performance.now();
        }
      }
      if ((day + 1) % SAMPLED_EVERY === 0) {
        result.sizes.push(await database.bytes());
        progress(`years: ${engine.name}, day ${day + 1}, ${decimals(1)(result.sizes.at(-1)! / 1e6)} MB`);
      }
      start = next;
    }
    await writer.close();
    await compare(storage, zone, expected, keys, now);
    await storage.close();
    result.seconds = (performance.now() - started) / 1000;
    return result;
  } finally {
    await database.stop();
    removeDirectory(directory);
  }
}

function count(
  {
    length,
    contentLength,
    duration,
    status,
  }: { length: number } & Record<'contentLength' | 'duration', Float64Array> & { status: Uint16Array },
  day: number,
  expected: Map<number, Measures>,
): void {
  const sums = { hits: length, transfer: 0, errors: 0, duration: 0 };
  for (let i = 0; i < length; i++) {
    sums.transfer += contentLength[i]!;
    sums.duration += duration[i]!;
    if (status[i]! >= 500) sums.errors += 1;
  }
  expected.set(day, sums);
}

/** Throws if the storage's totals differ from the independent count. */
async function compare(
  { reader }: Storage,
  zone: ReturnType<Parts['calendar']>,
  expected: ReadonlyMap<number, Measures>,
  keys: ReadonlyMap<string, number>,
  now: number,
): Promise<void> {
  const kept = await reader.retention('default');
  const { day, records, hour } = kept;
  const total = (spans: Span[]) =>
    reader.total({ site: 'default', summary: 'urls', spans, target: undefined });
  const check = (name: string, found: number, wanted: number) => {
    if (found !== wanted) throw new Error(`${name}: ${found} instead of ${wanted}`);
  };
  const months = Map.groupBy(expected, ([start]) => zone.monthOf(start));
  for (const [month, days] of months) {
    if (month < (kept.month?.before ?? 0)) continue;
    const found = await total([{ period: 'month', from: month, to: month }]);
    for (const measure of ['hits', 'transfer', 'errors', 'duration'] as const) {
      check(
        `${measure} of ${zone.format(month)}`,
        found[measure],
        days.reduce((sum, [, sums]) => sum + sums[measure], 0),
      );
    }
  }
  for (const [start, sums] of expected) {
    if (start >= (day?.before ?? 0)) {
      check(
        `day ${zone.format(start)}`,
        (await total([{ period: 'day', from: start, to: start }])).hits,
        sums.hits,
      );
    }
    const end = zone.next('day', start) - 1;
    if (start >= (hour?.before ?? 0)) {
      check(
        `hours of ${zone.format(start)}`,
        (await total([{ period: 'hour', from: start, to: end }])).hits,
        sums.hits,
      );
    }
    if (start < (records?.before ?? 0)) continue;
    const request = { site: 'default', from: start, to: end, where: [], bounds: [start, end + 1] };
    check(
      `records of ${zone.format(start)}`,
      (await reader.matchingSeries(request))[0]?.hits ?? 0,
      sums.hits,
    );
  }
  const month = zone.monthOf(now - DAY);
  const page = { order: 'hits', search: undefined, limit: 0, offset: 0 } as const;
  const spans = [{ period: 'month', from: month, to: month }] as const;
  const found = await reader.keys({ site: 'default', summary: 'urls', spans, ...page });
  check('keys', found.count, keys.size);
  for (const { key, hits } of found.rows) check(`hits of ${key}`, hits, keys.get(key!) ?? 0);
}

function tableOf(data: Record<string, Result>): string {
  const mb = (bytes: number) => decimals(1)(bytes / 1e6);
  const years = Object.values(data)[0]?.sizes.length ?? 0;
  return table(
    [
      '',
      ...Array.from({ length: years }, (_, i) => `year ${i + 1}, MB`),
      'rows deleted',
      'longest step, ms',
      's',
    ],
    Object.entries(data).map(([name, { sizes, longest, longestPart, pruned, seconds }]) => [
      name,
      ...sizes.map(mb),
      integer(pruned),
      `${decimals(0)(longest)} (${longestPart})`,
      decimals(0)(seconds),
    ]),
  );
}
