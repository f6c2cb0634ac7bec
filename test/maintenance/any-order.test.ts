import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rebuild, type Summary, sumRemotes, sumUrls, verify } from '../../src/index.ts';
import type { Storage } from '../../src/query/storage.ts';
import { pruneSteps } from '../../src/storage/prune.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { CHANGES } from '../../src/summaries/coverage.ts';
import { calendar, PERIODS, type Period } from '../../src/summaries/periods.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { change } from './support.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const HOOKS = [sumUrls, sumRemotes];
const ZONE = calendar('UTC');
/** 30 November and 1 December, so that months matter too. */
const FIRST_DAY = ZONE.dayOf(NOON) + 5 * DAY;
const DAYS = 4;

interface Visit {
  date: number;
  url: string;
  remoteAddr: string;
  /** Periods in which `remotes` counts it. */
  counted: Set<Period>;
}

type Step =
  | { kind: 'batch'; visits: { hours: number; url: number; remote: number }[]; hasRemotes: boolean }
  | { kind: 'prune'; part: 'records' | 'hour'; day: number }
  | { kind: 'damage'; hours: number; period: Period; by: number }
  | { kind: 'rebuild' };

const small = (max: number) => fc.integer({ min: 0, max });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('batch' as const),
        visits: fc.array(fc.record({ hours: small(DAYS * 24 - 1), url: small(3), remote: small(2) }), {
          minLength: 1,
          maxLength: 6,
        }),
        hasRemotes: fc.boolean(),
      }),
    },
    fc.record({
      kind: fc.constant('prune' as const),
      part: fc.constantFrom('records' as const, 'hour' as const),
      day: small(DAYS),
    }),
    fc.record({
      kind: fc.constant('damage' as const),
      hours: small(DAYS * 24 - 1),
      period: fc.constantFrom(...PERIODS),
      by: fc.constantFrom(1, 7),
    }),
    fc.record({ kind: fc.constant('rebuild' as const) }),
  ),
  { minLength: 3, maxLength: 10 },
);

/** Runs the steps, and compares the sums with a straight count of what is kept. */
async function follow(storage: Storage, all: readonly Step[]): Promise<void> {
  const writer = await openWriter(storage);
  const journals = [new TestJournal('a', HOOKS), new TestJournal('b', [sumUrls])] as const;
  const visits: Visit[] = [];
  const before = { records: 0, hour: 0, day: 0, month: 0 };
  const isKept = (period: Period, bucket: number) => bucket >= before[period];
  const isCovered = (period: Period, bucket: number) => isKept(period, bucket) && bucket >= before.records;
  const rebuildAll = async () => {
    await rebuild({ storage, summaries: HOOKS });
    for (const visit of visits) {
      for (const period of PERIODS) {
        if (isCovered(period, ZONE.bucketOf(period, visit.date))) visit.counted.add(period);
      }
    }
  };
  try {
    for (const step of all) {
      if (step.kind === 'batch') {
        const added = step.visits.map(({ hours, url, remote }) => ({
          date: FIRST_DAY + hours * HOUR + 1,
          url: `/${url}`,
          remoteAddr: `10.0.0.${remote}`,
        }));
        await writer.apply(journals[step.hasRemotes ? 0 : 1].batch(added));
        for (const each of added) {
          visits.push({ ...each, counted: new Set(step.hasRemotes ? PERIODS : []) });
        }
      } else if (step.kind === 'prune') {
        const start = FIRST_DAY + step.day * DAY;
        before[step.part] = Math.max(before[step.part], start);
        const plan = { [step.part]: { keep: '1d', before: start } } as const;
        for await (const _ of pruneSteps(writer.maintenance!, plan, 'test'));
      } else if (step.kind === 'damage') {
        const ms = FIRST_DAY + step.hours * HOUR;
        // What the records do not cover cannot be repaired.
        if (!isCovered(step.period, ZONE.bucketOf(step.period, ms))) continue;
        await change(writer, 'urls', step.period, ms, { '/0': step.by, '/other': step.by });
        // Readers may use cached sums of a past day, until a batch says that it changed them.
        await change(writer, CHANGES.name, 'month', ms, { null: 1 });
        await rebuildAll();
      } else await rebuildAll();
    }
    for (const summary of HOOKS) {
      for (const period of PERIODS) {
        const counts = (visit: Visit) => summary === sumUrls || visit.counted.has(period);
        const wanted = new Map<string, number>();
        for (const visit of visits.filter(counts)) {
          const bucket = ZONE.bucketOf(period, visit.date);
          const key = `${bucket} ${summary === sumUrls ? visit.url : visit.remoteAddr}`;
          if (isKept(period, bucket)) wanted.set(key, (wanted.get(key) ?? 0) + 1);
        }
        expect(await sumsIn(storage, summary, period, before[period])).toEqual(wanted);
      }
    }
    expect(await verify({ storage })).toMatchObject({ count: 0 });
  } finally {
    await writer.close();
    await storage.close();
  }
}

async function sumsIn(
  storage: Storage,
  { name }: Summary,
  period: Period,
  from: number,
): Promise<Map<string, number>> {
  const request = { site: 'default', summary: name, period, from, to: 1e15, target: undefined };
  const rows = await storage.reader.sums({ ...request, limit: 0, offset: 0 });
  return new Map(rows.map(({ bucket, key, hits }) => [`${bucket} ${key}`, hits]));
}

test('any order of batches, late records, prunings, damage and rebuilds equals a straight count: memory', async () => {
  await fc.assert(
    fc.asyncProperty(steps, (all) => follow(new MemoryStorage({ hooks: HOOKS }), all)),
    { numRuns: 40, seed: 5 },
  );
});

test('any order of batches, late records, prunings, damage and rebuilds equals a straight count: SQLite', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const directory = mkdtempSync(join(tmpdir(), 'track-usage-order-'));
      try {
        await follow(new SqliteStorage(join(directory, 'usage.db'), { hooks: HOOKS }), all);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    }),
    { numRuns: 3, seed: 6 },
  );
});
