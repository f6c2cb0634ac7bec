import { deepStrictEqual as equal, ok } from 'node:assert';
import type { Latency } from '../query/query-types.ts';
import type { Storage } from '../query/storage.ts';
import { compareKeys } from '../storage/compare-keys.ts';
import type { MaxKeys, RecountRequest } from '../storage/contract.ts';
import { sumOf } from '../storage/measures.ts';
import { OTHERS } from '../summaries/coverage.ts';
import { defineSummary } from '../summaries/define.ts';
import {
  binOf,
  companionName,
  companionOf,
  latencyKey,
  PERCENTILES,
  partsOfLatencyKey,
} from '../summaries/latency.ts';
import { PERIODS, type Period } from '../summaries/periods.ts';
import { sumRoutes, sumServer, sumUrls } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { Random } from './random.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, besideMemory, openWriter, put, rows } from './support.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ROUTES = companionName(sumRoutes.name);

/** Returns records of random durations, from below 1 µs to hours. */
function randomRecords(seed: number, length: number): TestRecord[] {
  const random = new Random(seed);
  return Array.from({ length }, () => ({
    date: NOON + random.below(72) * HOUR,
    duration: Math.floor(2 ** (random.next() * 36)) - 1,
    route: random.of(['/a', '/b|c', null, '/ä', '3']),
    extra: { keys: { plans: random.of([['free'], ['free', 'paid'], []]) } },
  }));
}

/** Returns the sums of a companion by key, over all its buckets of a period. */
async function binsIn(storage: Storage, summary: string, period: Period) {
  const range = { from: NOON - 40 * DAY, to: NOON + 40 * DAY };
  const request = { site: 'default', summary, period, ...range, target: undefined, limit: 0, offset: 0 };
  const rows = await storage.reader.sums(request);
  const found = [...Map.groupBy(rows, ({ key }) => key)].map(([key, of]) => [key, sumOf(of)] as const);
  return new Map(found.sort(([a], [b]) => compareKeys(a, b)));
}

/** Distributions of durations. */
export function latencyCases(subject: Subject): TestCase[] {
  const plans = defineSummary({ name: 'plans', key: () => null, latency: true });
  return [
    {
      name: 'latency: the bins of each key and period add up over batches',
      run: () =>
        besideMemory(subject, [sumRoutes, plans], async ({ tested, memory, apply }) => {
          const records = randomRecords(17, 200);
          for (let i = 0; i < records.length; i += 50) await apply(records.slice(i, i + 50));
          for (const summary of [sumRoutes, plans]) {
            for (const period of PERIODS) {
              const name = companionName(summary.name);
              const found = await binsIn(tested, name, period);
              equal(found, await binsIn(memory, name, period), `${name} ${period}`);
              ok(
                [...found.values()].every(
                  ({ transfer, errors, duration }) => !(transfer + errors + duration),
                ),
              );
            }
          }
          const wanted = new Map<string, number>();
          for (const { duration = 0, route = null } of records) {
            const key = latencyKey(binOf(duration), route);
            wanted.set(key, (wanted.get(key) ?? 0) + 1);
          }
          const found = await binsIn(tested, ROUTES, 'month');
          equal(
            new Map([...found].map(([key, { hits }]) => [String(key), hits] as const).sort()),
            new Map([...wanted].sort()),
          );
        }),
    },
    percentiles(subject),
    ...(subject.cannot?.maxKeys ? [] : [overBudget(subject)]),
    ...(subject.cannot?.maintenance ? [] : [recounts(subject)]),
  ];
}

/** Percentiles of totals, series and keys, for ranges of whole hours, days and months. */
function percentiles(subject: Subject): TestCase {
  return {
    name: 'latency: percentiles are within 2.5 % of those of the records, for any range',
    run: () =>
      at(subject, async (location) => {
        const storage = location.storage([sumServer, sumRoutes, sumUrls]);
        const writer = location.keep(await openWriter(storage));
        const journal = new TestJournal('a', storage.summaries);
        const records = randomRecords(25, 200);
        for (let i = 0; i < records.length; i += 100) {
          await put(writer, journal.batch(records.slice(i, i + 100)));
        }
        const client = await location.openClient(storage);
        for (const [from, to] of RANGES) {
          const [start, end] = [Date.parse(`${from}Z`), Date.parse(`${to}Z`) + HOUR];
          const within = records.filter(({ date = 0 }) => date >= start && date < end);
          ok(within.length > 20);
          const options = { from, to, threshold: 2_000 };
          const { totals } = await client.totals(options);
          checkLatency(totals.latency, within);
          const { rows: found } = await client.top('routes', { ...options, limit: 0 });
          equal(found.length, new Set(within.map(({ route }) => route)).size);
          for (const { key, latency } of found) {
            checkLatency(
              latency,
              within.filter(({ route = null }) => route === key),
            );
          }
          for (const key of [undefined, '/a']) {
            const one = key === undefined ? {} : { summary: 'routes', key };
            const { buckets } = await client.series({ ...options, ...one, period: 'day' });
            const of = within.filter(({ route }) => key === undefined || route === key);
            for (const { date, latency } of buckets) {
              const day = date.slice(0, 10);
              checkLatency(
                latency,
                of.filter((each) => new Date(each.date!).toISOString().startsWith(day)),
              );
            }
          }
        }
        // Neither of a filter, nor of bots, nor of a summary without distributions.
        const range = { range: 'all', latency: true } as const;
        equal((await client.totals({ ...range, filter: { routes: '/a' } })).totals.latency, null);
        equal((await client.totals({ ...range, bots: 'exclude' })).totals.latency, null);
        equal((await client.top('urls', { ...range, limit: 1 })).rows[0]?.latency, null);
        ok(!('latency' in (await client.totals({ range: 'all' })).totals));
      }),
  };
}

/** First and last hours of ranges: within an hour, over the ends of days and months, and everything. */
const RANGES = [
  ['2026-11-24T12:00', '2026-11-25T03:00'],
  ['2026-11-24T20:00', '2026-11-27T05:00'],
  ['2026-11-01T00:00', '2026-11-30T23:00'],
] as const;

/** Asserts that percentiles and the share above 2 ms are those of records, within the stated error. */
function checkLatency(latency: Latency | null | undefined, records: readonly TestRecord[]): void {
  if (records.length === 0) {
    equal(latency, null);
    return;
  }
  ok(latency);
  const durations = records.map(({ duration = 0 }) => duration).sort((a, b) => a - b);
  equal(latency.hits, durations.length);
  for (const name of PERCENTILES) {
    const wanted = durations[Math.ceil((Number(name.slice(1)) * durations.length) / 100) - 1]!;
    ok(Math.abs(latency[name] - wanted) <= 0.025 * wanted, `${name}: ${latency[name]}, not ${wanted}`);
  }
  const above = (limit: number) => durations.filter((each) => each > limit).length / durations.length;
  ok(latency.above !== null && latency.above <= above(1_956) && latency.above >= above(2_044));
}

/** A key that has no room has no bins of its own either, and none of its durations is lost. */
function overBudget(subject: Subject): TestCase {
  return {
    name: 'latency: the bins of a key that has no room in its bucket are counted under the key of others',
    run: () =>
      at(subject, async (location) => {
        const storage = location.storage([sumUrls, sumRoutes]);
        const each = { hour: 2, day: 3, month: 2 };
        const maxKeys: MaxKeys = { all: each, summaries: {} };
        const writer = location.keep(await openWriter(storage, { maxKeys }));
        const journal = new TestJournal('a', storage.summaries);
        const records = randomRecords(4, 60).map((record, i) => ({ ...record, route: `/${i % 7}` }));
        for (let i = 0; i < records.length; i += 20) {
          equal(await put(writer, journal.batch(records.slice(i, i + 20))), true);
        }
        const client = await location.openClient(storage);
        for (const period of PERIODS) {
          const sums = new Map<string | null, number>();
          for (const [key, hits] of await rows(client, 'routes', period)) {
            sums.set(key as string | null, (sums.get(key as string | null) ?? 0) + Number(hits));
          }
          ok(sums.has(OTHERS));
          const bins = new Map<string | null, number>();
          for (const [text, { hits }] of await binsIn(storage, ROUTES, period)) {
            const { key } = partsOfLatencyKey(text!);
            bins.set(key, (bins.get(key) ?? 0) + hits);
          }
          equal(new Map([...bins].sort()), new Map([...sums].sort()), period);
        }
      }),
  };
}

function recounts(subject: Subject): TestCase {
  const plans = defineSummary({ name: 'plans', key: () => null, latency: true });
  return {
    name: 'latency: a recount finds the bins of the records',
    run: () =>
      at(subject, async (location) => {
        const storage = location.storage([sumRoutes, plans]);
        const writer = location.keep(await openWriter(storage));
        const journal = new TestJournal('a', storage.summaries);
        await put(writer, journal.batch(randomRecords(9, 120).map((record) => ({ ...record, date: NOON }))));
        for (const { key: _, ...summary } of [companionOf(sumRoutes), companionOf(plans)]) {
          const from = Date.UTC(2026, 10, 24, 12);
          const request: RecountRequest = {
            site: 'default',
            summary,
            period: 'hour',
            from,
            to: from + HOUR - 1,
          };
          const { stored, counted, records } = await storage.reader.recount(request);
          equal(records, 120);
          ok(stored.length > 20);
          const sorted = (of: typeof stored) =>
            of.map(({ key, ...measures }) => [String(key), measures]).sort(([a], [b]) => (a! < b! ? -1 : 1));
          equal(sorted(counted), sorted(stored));
        }
      }),
  };
}
