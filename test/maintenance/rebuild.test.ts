import { describe, expect, test } from 'vitest';
import {
  defineSummary,
  STANDARD_SUMMARIES,
  sumReferrers,
  sumRemotes,
  sumStatus,
  sumUrls,
  sumVisitors,
} from '../../src/index.ts';
import { rebuild } from '../../src/maintenance/rebuild.ts';
import { verify } from '../../src/maintenance/verify.ts';
import type { RecountRequest } from '../../src/storage/contract.ts';
import { pruneSteps } from '../../src/storage/prune.ts';
import { prunePlan } from '../../src/storage/prune-plan.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { ERASED, OTHERS } from '../../src/summaries/coverage.ts';
import { withCompanions } from '../../src/summaries/latency.ts';
import { calendar, PERIODS } from '../../src/summaries/periods.ts';
import { NOON, type TestRecord } from '../../src/testing/batches.ts';
import { Random } from '../../src/testing/random.ts';
import { rows } from '../../src/testing/support.ts';
import { change, sqlite, storageWith, sumsOf, wrapped } from './support.ts';

const DAY = 24 * 3_600_000;
const ONE = { hits: 1, transfer: 5, errors: 0, duration: 1_500 };
const MINUS_ONE = { hits: -1, transfer: -5, errors: -0, duration: -1_500 };

function records(count: number, seed = 1): TestRecord[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    const bot = random.below(4) === 0;
    return { ...random.record(), agent: 'agent', ...(bot && { bot, visitor: null }) };
  });
}

describe('rebuild', () => {
  test('repairs damaged sums in every period, and nothing else', async () => {
    const { storage, writer } = await storageWith(STANDARD_SUMMARIES, records(100));
    const wanted = await sumsOf(storage, STANDARD_SUMMARIES);
    expect(await rebuild({ storage })).toMatchObject({ rebuilt: 0, keys: 0, filled: 0 });
    const [first] = await storage.getUsage({ limit: 1 });
    await change(writer, 'urls', 'hour', first!.date, { [first!.url]: 3, invented: ONE });
    await change(writer, 'languages', 'month', first!.date, { en: MINUS_ONE, invented: ONE });
    const names = withCompanions(STANDARD_SUMMARIES)
      .map(({ name }) => name)
      .sort()
      .join(',');
    await change(writer, 'coverage', 'day', first!.date, {
      [names]: { hits: 2, transfer: 0, errors: 0, duration: 7 },
    });
    expect((await verify({ storage })).count).toBe(5);
    expect(await rebuild({ storage })).toMatchObject({
      rebuilt: 3,
      refused: [],
      notCovered: [],
      uncountable: [],
    });
    expect((await verify({ storage })).count).toBe(0);
    expect(await sumsOf(storage, STANDARD_SUMMARIES)).toEqual(wanted);
  });

  test('restores buckets whose sums are lost altogether', async () => {
    const summaries = [sumUrls, sumVisitors];
    const { storage, writer } = await storageWith(summaries, [{ visitor: 'a' }]);
    const wanted = await sumsOf(storage, summaries);
    for (const [summary, key] of [
      ['urls', 'http://localhost/'],
      ['visitors', 'a'],
      ['coverage', 'urls,visitors'],
    ] as const) {
      await change(writer, summary, 'day', NOON, { [key]: MINUS_ONE });
    }
    await rebuild({ storage });
    expect(await sumsOf(storage, summaries)).toEqual(wanted);
  });

  test('fills a summary that was added later, as if it had existed', async () => {
    const all = [sumUrls, sumVisitors, sumReferrers];
    const stored = records(200);
    const { storage, apply } = await storageWith([sumUrls, sumVisitors], stored.slice(0, 80));
    await apply(stored.slice(80, 140), [sumUrls]);
    await apply(stored.slice(140), [sumUrls, sumReferrers]);
    const { storage: wanted } = await storageWith(all, stored);
    const result = await rebuild({ storage, summaries: all });
    expect(result.filled).toBe(3 * (120 + 140));
    expect(await sumsOf(storage, all)).toEqual(await sumsOf(wanted, all));
    expect(await verify({ storage })).toMatchObject({ count: 0, notCounted: [] });
  });

  describe.each(['memory', 'SQLite'] as const)('%s', (engine) => {
    const open = () =>
      engine === 'memory' ? new MemoryStorage({ hooks: [sumVisitors] }) : sqlite([sumVisitors]);

    test('counts bots that were stored as visitors under null', async () => {
      const bot = { bot: true, agent: 'Bot/1', browser: 'Bot' };
      const stored = [
        { visitor: 'a' },
        { visitor: 'a', ...bot },
        { visitor: 'b', ...bot },
        { visitor: null },
      ];
      const { storage } = await storageWith([sumVisitors], stored, { storage: open() });
      expect((await verify({ storage, summaries: ['visitors'] })).count).toBe(3 * PERIODS.length);
      await rebuild({ storage, summaries: ['visitors'] });
      const straight = stored.map((each) => ({ ...each, ...('bot' in each && { visitor: null }) }));
      const { storage: wanted } = await storageWith([sumVisitors], straight);
      expect(await sumsOf(storage, [sumVisitors])).toEqual(await sumsOf(wanted, [sumVisitors]));
      expect((await verify({ storage })).count).toBe(0);
    });
  });

  test('counts bots under null that were beyond the key budget', async () => {
    const bot = { bot: true, agent: 'Bot/1', browser: 'Bot' };
    const stored = [{ visitor: 'a' }, { visitor: 'b' }, { visitor: 'c', ...bot }];
    const { storage, writer } = await storageWith([sumVisitors], stored);
    for (const period of PERIODS) {
      const others = { hits: 2, transfer: 10, errors: 0, duration: 3_000 };
      await change(writer, 'visitors', period, NOON, { b: MINUS_ONE, c: MINUS_ONE, [OTHERS]: others });
    }
    expect((await verify({ storage })).count).toBe(2 * PERIODS.length);
    await rebuild({ storage, summaries: ['visitors'] });
    for (const period of PERIODS) {
      expect((await rows(storage, 'visitors', period)).map(([key, hits]) => [key, hits])).toEqual([
        [OTHERS, 1],
        ['a', 1],
        [null, 1],
      ]);
    }
  });

  test('fills a bucket up to the key budget, with the keys of most hits', async () => {
    const referrers = ['a', 'b', 'b', 'c', 'c', 'c', 'd', null];
    const { storage } = await storageWith(
      [sumUrls],
      referrers.map((referrer) => ({ referrer })),
    );
    await rebuild({ storage, summaries: [sumReferrers], maxKeys: 2 });
    for (const period of PERIODS) {
      expect((await rows(storage, 'referrers', period)).map(([key, hits]) => [key, hits])).toEqual([
        ['c', 3],
        [OTHERS, 2],
        ['b', 2],
        [null, 1],
      ]);
    }
    expect((await verify({ storage })).count).toBe(0);
    // The keys that are there keep their sums, and no others are admitted.
    expect(await rebuild({ storage, maxKeys: 100 })).toMatchObject({ rebuilt: 0 });
  });

  test('leaves buckets unchanged whose records were deleted by the retention', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{}, { date: NOON - 40 * DAY }]);
    const before = await sumsOf(storage, [sumUrls]);
    const plan = prunePlan(
      { records: '30d', hour: 'forever', day: 'forever', month: 'forever' },
      calendar('UTC'),
      NOON,
    );
    for await (const _ of pruneSteps(writer.maintenance!, plan, 'test'));
    expect(await storage.getUsage()).toHaveLength(1);
    const { notCovered, rebuilt } = await rebuild({ storage });
    expect(rebuilt).toBe(0);
    expect(notCovered.map(({ period, from, reason }) => [period, from.slice(0, 13), reason])).toEqual([
      ['hour', '2026-10-15T12', 'retention'],
      ['day', '2026-10-15T00', 'retention'],
      ['month', '2026-10-01T00', 'retention'],
    ]);
    expect(await verify({ storage })).toMatchObject({ count: 0, notCovered });
    expect(await sumsOf(storage, [sumUrls])).toEqual(before);
  });

  test('leaves hours alone that the retention has deleted, although there are records', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{ date: NOON - 40 * DAY }]);
    const keep = { records: 'forever', hour: '30d', day: 'forever', month: 'forever' } as const;
    const plan = prunePlan(keep, calendar('UTC'), NOON);
    for await (const _ of pruneSteps(writer.maintenance!, plan, 'test'));
    expect(await rows(storage, 'urls', 'hour')).toEqual([]);
    expect(await rebuild({ storage })).toMatchObject({ rebuilt: 0, notCovered: [] });
    expect(await rows(storage, 'urls', 'hour')).toEqual([]);
  });

  test('leaves buckets unchanged from which a person was deleted', async () => {
    const { storage, writer } = await storageWith(
      [sumRemotes],
      [{ remoteAddr: '1.1.1.1' }, { remoteAddr: null }],
    );
    const before = await sumsOf(storage, [sumRemotes]);
    for (const period of PERIODS) await change(writer, ERASED.name, period, NOON, { null: 1 });
    await writer.maintenance!.erase({ column: 'remoteAddr', value: '1.1.1.1' }, 10);
    const { notCovered, rebuilt } = await rebuild({ storage });
    expect(rebuilt).toBe(0);
    expect(notCovered.map(({ period, reason }) => [period, reason])).toEqual(
      PERIODS.map((period) => [period, 'erased']),
    );
    expect(await sumsOf(storage, [sumRemotes])).toEqual(before);
  });

  test('does not empty buckets whose records are gone for an unknown reason, unless forced', async () => {
    const { storage, writer } = await storageWith(
      [sumRemotes, sumStatus],
      [{ remoteAddr: '1.1.1.1' }, { remoteAddr: null }],
    );
    const before = await sumsOf(storage, [sumRemotes]);
    await writer.maintenance!.erase({ column: 'remoteAddr', value: '1.1.1.1' }, 10);
    // Another summary of the day is damaged as well.
    await change(writer, sumStatus.name, 'day', NOON, { 200: -1 });
    const { refused, rebuilt } = await rebuild({ storage });
    expect(rebuilt).toBe(0);
    expect(refused).toEqual([
      { period: 'hour', date: '2026-11-24T12:00:00+00:00', stored: 2, records: 1 },
      { period: 'day', date: '2026-11-24T00:00:00+00:00', stored: 2, records: 1 },
      { period: 'month', date: '2026-11-01T00:00:00+00:00', stored: 2, records: 1 },
    ]);
    expect(await sumsOf(storage, [sumRemotes])).toEqual(before);
    expect((await rebuild({ storage, force: true })).rebuilt).toBe(9);
    expect(await rows(storage, 'remotes', 'day')).toEqual([[null, 1, 5, 0, 1_500]]);
    expect((await verify({ storage })).count).toBe(0);
  });

  test('does not empty buckets whose records are gone while an app stores records', async () => {
    const { storage, writer, apply } = await storageWith(
      [sumUrls],
      [{ visitor: 'gone' }, { visitor: 'kept' }],
    );
    await writer.maintenance!.erase({ column: 'visitor', value: 'gone' }, 10);
    let late = 0;
    const { recount } = storage.reader;
    storage.reader.recount = async (request: RecountRequest) => {
      const found = await recount(request);
      await apply([{}]);
      late += 1;
      return found;
    };
    const { refused, rebuilt } = await rebuild({ storage });
    expect(rebuilt).toBe(0);
    expect(refused.map(({ period, stored, records: left }) => [period, stored - left])).toEqual(
      PERIODS.map((period) => [period, 1]),
    );
    for (const period of PERIODS) {
      const found = await rows(storage, 'urls', period);
      expect(found.map(([, hits]) => hits)).toEqual([2 + late]);
    }
  });

  test('leaves the requests out that were captured without a custom summary', async () => {
    const plans = defineSummary({ name: 'plans', key: () => null });
    const { storage, apply } = await storageWith(
      [sumUrls, plans],
      [{ extra: { keys: { plans: ['gold'] } } }],
    );
    await apply([{}], [sumUrls]);
    const before = await sumsOf(storage, [plans]);
    const { uncountable } = await rebuild({ storage });
    expect(uncountable).toEqual([
      {
        summary: 'plans',
        reason:
          'cannot count the summary "plans" from the records: some records were captured without it, so their keys are unknown; pass the module that computes its keys, or leave this summary out.',
      },
    ]);
    expect(await sumsOf(storage, [plans])).toEqual(before);
  });

  test('is exact while an app stores records between its steps', async () => {
    const stored = records(60);
    const { storage, writer, apply } = await storageWith([sumUrls], stored.slice(0, 30));
    const late = stored.slice(30);
    const original = storage.reader.recount;
    storage.reader.recount = async (request: RecountRequest) => {
      const found = await original(request);
      const record = late.pop();
      if (record) await apply([record], late.length % 2 === 0 ? [sumUrls] : [sumUrls, sumReferrers]);
      return found;
    };
    const [first] = await storage.getUsage({ limit: 1 });
    await change(writer, 'urls', 'month', first!.date, { invented: ONE });
    await rebuild({ storage, summaries: [sumUrls, sumReferrers] });
    expect(late).toEqual([]);
    // Buckets that were complete before the last records arrived.
    await rebuild({ storage, summaries: [sumUrls, sumReferrers] });
    const { storage: wanted } = await storageWith([sumUrls, sumReferrers], stored);
    const both = [sumUrls, sumReferrers];
    expect(await sumsOf(storage, both)).toEqual(await sumsOf(wanted, both));
  });

  test('fills a summary while an app without it stores records all the time', async () => {
    const { storage, apply } = await storageWith([sumUrls], [{}]);
    const stored: TestRecord[] = [{}];
    const { recount } = storage.reader;
    storage.reader.recount = async (request: RecountRequest) => {
      stored.push({});
      await apply([{}], [sumUrls]);
      return recount(request);
    };
    const both = [sumUrls, sumReferrers];
    const { filled } = await rebuild({ storage, summaries: both });
    expect(filled).toBeGreaterThan(stored.length);
    storage.reader.recount = recount;
    await rebuild({ storage, summaries: both });
    const { storage: wanted } = await storageWith(both, stored);
    expect(await sumsOf(storage, both)).toEqual(await sumsOf(wanted, both));
  });

  test('repeats a batch that failed, and counts one once that was stored without confirmation', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{}]);
    const wanted = await sumsOf(storage, [sumUrls]);
    await change(writer, 'urls', 'hour', NOON, { invented: 1 });
    let calls = 0;
    const unreliable = wrapped(storage, (opened) => ({
      ...opened,
      apply: async (batch) => {
        calls += 1;
        if (calls % 3 === 1) throw new Error('offline');
        const stored = await opened.apply(batch);
        if (calls % 3 === 2) throw new Error('connection lost');
        return stored;
      },
    }));
    expect(await rebuild({ storage: unreliable })).toMatchObject({ rebuilt: 1 });
    expect(calls).toBe(6);
    expect(await sumsOf(storage, [sumUrls])).toEqual(wanted);
  });

  test('removes the journals of its own and of a killed run', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{}]);
    const journals = new Set<string>();
    const spied = wrapped(storage, (opened) => ({
      ...opened,
      apply: async (batch) => {
        journals.add(batch.journal);
        if (batch.deltas.length > 0 && journals.size < 3) throw new Error('killed');
        return opened.apply(batch);
      },
      refuses: () => true,
    }));
    await change(writer, 'urls', 'hour', NOON, { invented: 1 });
    await expect(rebuild({ storage: spied })).rejects.toThrow('killed');
    expect(journals.size).toBe(2);
    expect(await rebuild({ storage: spied })).toMatchObject({ rebuilt: 1 });
    const [runs, ...ofRuns] = journals;
    expect(ofRuns).toHaveLength(2);
    for (const journal of ofRuns) expect(await writer.position(journal)).toBeUndefined();
    expect(await writer.position(runs!)).toBeDefined();
  });

  test('runs again in an engine that does not store a journal again that it has removed', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{}]);
    const removed = new Set<string>();
    const like = wrapped(storage, (opened) => ({
      ...opened,
      apply: async (batch) => {
        if (removed.has(batch.journal)) throw new Error('removed');
        return opened.apply(batch);
      },
      forget: async (journal) => {
        removed.add(journal);
        await opened.forget(journal);
      },
      refuses: () => true,
    }));
    for (let run = 0; run < 3; run++) {
      await change(writer, 'urls', 'hour', NOON, { invented: 1 });
      expect(await rebuild({ storage: like })).toMatchObject({ rebuilt: 1 });
    }
    expect(removed.size).toBe(3);
  });

  test('needs a storage that can be maintained', async () => {
    const { storage } = await storageWith([sumUrls], [{}]);
    const { position, apply, forget, refuses, close } = await storage.openWriter!({
      site: 'default',
      timeZone: 'UTC',
      durable: true,
    });
    const without = wrapped(storage, () => ({ position, apply, forget, refuses, close }));
    await expect(rebuild({ storage: without })).rejects.toMatchObject({ code: 'MAINTENANCE_UNSUPPORTED' });
  });

  test('gives up if the database does not keep what it stores', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{}]);
    await change(writer, 'urls', 'hour', NOON, { invented: 1 });
    const forgetful = wrapped(storage, (opened) => ({ ...opened, apply: async () => true }));
    await expect(rebuild({ storage: forgetful })).rejects.toMatchObject({ code: 'REBUILD_DIFFERS' });
  });

  test('refuses to run twice at the same time', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{}]);
    await writer.maintenance!.lease({ task: 'rebuild', holder: 'other', ms: 60_000 });
    await expect(rebuild({ storage })).rejects.toMatchObject({ code: 'MAINTENANCE_BUSY' });
    await writer.maintenance!.lease({ task: 'rebuild', holder: 'other', ms: 0 });
    await expect(rebuild({ storage })).resolves.toMatchObject({ rebuilt: 0 });
  });
});
