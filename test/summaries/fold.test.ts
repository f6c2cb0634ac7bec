import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FLAG_BOT, RecordBatch } from '../../src/batch.ts';
import { defineSummary } from '../../src/summaries/define.ts';
import { fold } from '../../src/summaries/fold.ts';
import { binOf, withCompanions } from '../../src/summaries/latency.ts';
import { calendar, PERIODS } from '../../src/summaries/periods.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';

interface Fact {
  date: number;
  url: string;
  urlKey: string | null;
  remoteAddr: string | null;
  agent: string | null;
  language: string | null;
  visitor: string | null;
  country: string | null;
  route: string | null;
  referrer: string | null;
  browser: string | null;
  status: number;
  contentLength: number;
  duration: number;
  bot: boolean;
  /** Keys in the summary `tags`. */
  tags: string[];
}

/** A user-defined summary with several keys per record, and one whose keys no batch contains. */
const CUSTOM = ['tags', 'without-keys'].map((name) =>
  defineSummary({ name, key: () => null, latency: name === 'tags' }),
);
const SUMMARIES = [...STANDARD_SUMMARIES, ...CUSTOM];

const key = fc.constantFrom('a', 'b', 'A', 'a ', 'ä', '🜁', 'null', '');
const optional = fc.option(key);
const fact: fc.Arbitrary<Fact> = fc.record({
  // Around the end of daylight saving time in Berlin, and the end of a month.
  date: fc.integer({ min: Date.UTC(2026, 9, 24), max: Date.UTC(2026, 10, 2) }),
  url: key.filter((text) => text !== ''),
  urlKey: optional,
  remoteAddr: optional,
  agent: optional,
  language: optional,
  visitor: optional,
  country: optional,
  route: optional,
  referrer: optional,
  browser: optional,
  status: fc.constantFrom(200, 304, 404, 499, 500, 503),
  contentLength: fc.nat({ max: 1e9 }),
  duration: fc.nat({ max: 1e9 }),
  bot: fc.boolean(),
  tags: fc.uniqueArray(key, { maxLength: 3 }).map((tags) => tags.filter((tag) => tag !== '')),
});

function batchOf(fields: readonly Fact[]): RecordBatch {
  const batch = new RecordBatch(1);
  for (const { date, status, contentLength, duration, bot, tags, ...texts } of fields) {
    if (batch.length === batch.capacity) batch.grow();
    const i = batch.length++;
    batch.date[i] = date;
    batch.status[i] = status;
    batch.contentLength[i] = contentLength;
    batch.duration[i] = duration;
    batch.flags[i] = bot ? FLAG_BOT : 0;
    batch.text.serverName[i] = batch.intern('server');
    batch.text.state[i] = batch.intern(String(status));
    for (const [column, text] of Object.entries(texts)) {
      batch.text[column as 'url'][i] = batch.intern(text);
    }
    batch.setKeys('tags', i, tags);
  }
  return batch;
}

type Totals = Map<string, [hits: number, transfer: number, errors: number, duration: number]>;

function add(totals: Totals, name: string, values: [number, number, number, number]): void {
  const before = totals.get(name) ?? [0, 0, 0, 0];
  totals.set(name, before.map((value, i) => value + values[i]!) as typeof values);
}

/** Key of the coverage of a record that is in all summaries. */
const EVERY_NAME = withCompanions(SUMMARIES)
  .map(({ name }) => name)
  .sort()
  .join(',');

/** Counts record by record, as documented. */
function countEach(fields: readonly Fact[], timeZone: string): Totals {
  const zone = calendar(timeZone);
  const totals: Totals = new Map();
  for (const one of fields) {
    const texts = {
      ...one,
      urlKey: one.urlKey || one.url,
      serverName: 'server',
      state: String(one.status),
    } as Record<string, unknown>;
    const keys = [
      ...STANDARD_SUMMARIES.map(({ name, column }) => [name, texts[column!] || null]),
      ...(one.tags.length === 0 ? [null] : one.tags).map((tag) => ['tags', tag]),
      ['without-keys', null],
      ['coverage', one.bot ? `${EVERY_NAME}|bot` : EVERY_NAME],
    ];
    for (const [name, key] of keys) {
      for (const period of PERIODS) {
        const bucket = zone.bucketOf(period, one.date);
        if (['server', 'routes', 'tags'].includes(String(name))) {
          const bin = binOf(one.duration);
          const binKey = key === null ? String(bin) : `${bin}|${key}`;
          add(totals, JSON.stringify([`${name}|latency`, period, bucket, binKey]), [1, 0, 0, 0]);
        }
        add(totals, JSON.stringify([name, period, bucket, key]), [
          1,
          one.contentLength,
          one.status >= 500 ? 1 : 0,
          one.duration,
        ]);
      }
    }
  }
  return totals;
}

function foldCount(batches: readonly (readonly Fact[])[], timeZone: string): Totals {
  const totals: Totals = new Map();
  for (const fields of batches) {
    const batch = batchOf(fields);
    for (const group of fold(batch, SUMMARIES, calendar(timeZone))) {
      group.key.forEach((id, row) => {
        const text = batch.strings[id]!;
        add(totals, JSON.stringify([group.summary.name, group.period, group.bucket, text]), [
          group.hits[row]!,
          group.transfer[row]!,
          group.errors[row]!,
          group.duration[row]!,
        ]);
      });
    }
  }
  return totals;
}

/** Generates fields, and the same fields in random order and batches. */
const shuffledBatches = fc
  .array(fact, { maxLength: 60 })
  .chain((fields) =>
    fc.tuple(
      fc.constant(fields),
      fc.shuffledSubarray(fields, { minLength: fields.length }),
      fc.array(fc.nat({ max: fields.length }), { maxLength: 8 }),
    ),
  );

describe('fold', () => {
  test.each(['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'Australia/Lord_Howe'])(
    'returns the same sums as counting each record, for any order and batches (%s)',
    (timeZone) => {
      fc.assert(
        fc.property(shuffledBatches, ([fields, shuffled, cuts]) => {
          const edges = [0, ...cuts.toSorted((a, b) => a - b), shuffled.length];
          const batches = edges.slice(1).map((to, i) => shuffled.slice(edges[i], to));
          expect(foldCount(batches, timeZone)).toEqual(countEach(fields, timeZone));
        }),
        { numRuns: 150 },
      );
    },
  );

  test('returns nothing for an empty batch', () => {
    expect(fold(batchOf([]), SUMMARIES, calendar('UTC'))).toEqual([]);
  });

  test('returns one group per summary and bucket, ordered by time, and one row per key', () => {
    fc.assert(
      fc.property(shuffledBatches, ([fields]) => {
        const groups = fold(batchOf(fields), SUMMARIES, calendar('Europe/Berlin'));
        for (const { key } of groups) expect(new Set(key).size).toBe(key.length);
        const bySeries = Object.groupBy(groups, ({ summary, period }) => `${summary.name} ${period}`);
        for (const series of Object.values(bySeries)) {
          const buckets = series!.map(({ bucket }) => bucket);
          expect(buckets).toEqual([...new Set(buckets)].sort((a, b) => a - b));
        }
      }),
      { numRuns: 50 },
    );
  });
});
