import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import {
  defineSummary,
  prune,
  rebuild,
  type Summary,
  storageStatus,
  sumBots,
  sumUrls,
  sumVisitors,
  verify,
} from '../../src/index.ts';
import type { Storage } from '../../src/query/storage.ts';
import type { StorageMaintenance, StorageWriter } from '../../src/storage/contract.ts';
import type { Part } from '../../src/storage/retention.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { calendar, changingTo, PERIODS } from '../../src/summaries/periods.ts';
import { NOON, TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { maintenanceOf } from '../../src/testing/maintenance.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { change, sqlite, storageWith, sumsOf, wrapped } from './support.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const BERLIN = 'Europe/Berlin';
const HOOKS = [sumUrls, sumVisitors, sumBots];
/** Zones with whole, half and quarter hours, and with summer time. */
const ZONES = [
  ...['UTC', BERLIN, 'Europe/London', 'America/New_York', 'America/St_Johns', 'Asia/Kathmandu'],
  ...['Asia/Kolkata', 'Australia/Lord_Howe', 'Pacific/Chatham', 'Pacific/Apia'],
];

/** Instants near the changes of the clocks in these zones, and the ends of months. */
const DATES = [
  ...['2026-03-08T07:00Z', '2026-03-29T01:00Z', '2026-04-04T14:00Z', '2026-10-25T01:00Z'],
  ...['2026-10-31T23:30Z', '2026-11-01T06:00Z', '2026-12-31T18:15Z'],
].map((date) => Date.parse(date));

const quarter = fc.record({
  quarters: fc.integer({ min: -100, max: 100 }),
  url: fc.constantFrom('/a', '/b'),
  visitor: fc.constantFrom('v', 'w', null),
  status: fc.constantFrom(200, 500),
});
/** Records within two days of one of the dates. */
const someRecords: fc.Arbitrary<TestRecord[]> = fc
  .tuple(fc.constantFrom(...DATES), fc.array(quarter, { maxLength: 10 }))
  .map(([date, found]) =>
    found.map(({ quarters, ...rest }) => ({ ...rest, date: date + quarters * 900_000 })),
  );

/** Asserts that a storage has the sums of a straight count, and no marks of a change. */
async function expectStraight(
  storage: Storage,
  records: readonly TestRecord[],
  timeZone: string,
  hooks: readonly Summary[] = HOOKS,
): Promise<void> {
  const { storage: straight } = await storageWith(hooks, records, { timeZone });
  expect(await sumsOf(storage, hooks)).toEqual(await sumsOf(straight, hooks));
  expect(await storage.reader.timeZone('default')).toBe(timeZone);
  const far = {
    site: 'default',
    summary: 'changes',
    period: 'month',
    from: NOON + 3650 * DAY,
    to: 1e15,
  } as const;
  expect(await storage.reader.sums({ ...far, target: undefined, limit: 0, offset: 0 })).toEqual([]);
}

type Watcher = (call: string, argument?: unknown) => Promise<void> | void;

/** Returns a storage whose writing end reports each call that changes something, before and after it. */
function watched(storage: Storage, before: Watcher, after: Watcher = () => {}): Storage {
  return wrapped(storage, (writer) => {
    const maintenance = writer.maintenance!;
    const watch =
      <A extends unknown[], R>(name: string, call: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        await before(name, args[0]);
        const result = await call(...args);
        await after(name, args[0]);
        return result;
      };
    return Object.create(writer, {
      apply: { value: watch('apply', (batch: Parameters<StorageWriter['apply']>[0]) => writer.apply(batch)) },
      maintenance: {
        value: {
          ...maintenance,
          prune: watch('prune', maintenance.prune),
          setTimeZone: watch('setTimeZone', maintenance.setTimeZone),
        } satisfies StorageMaintenance,
      },
    }) as StorageWriter;
  });
}

const RECORDS: readonly TestRecord[] = [
  { date: Date.UTC(2026, 9, 31, 22, 59), url: '/a', visitor: 'v' },
  { date: Date.UTC(2026, 9, 31, 23, 1), url: '/a' },
  { date: NOON, url: '/b', visitor: 'v', status: 500 },
];

describe('rebuild with a time zone', () => {
  const changes = (open: (timeZone: string) => Storage, numRuns: number) =>
    fc.assert(
      fc.asyncProperty(
        someRecords,
        fc.constantFrom(...ZONES),
        fc.constantFrom(...ZONES),
        async (records, from, to) => {
          const { storage, writer } = await storageWith(HOOKS, records, {
            timeZone: from,
            storage: open(from),
          });
          await rebuild({ storage, timeZone: to });
          await expectStraight(storage, records, to);
          if (from !== to)
            await expect(writer.apply(new TestJournal('b', HOOKS, from).batch([{}]))).rejects.toThrow();
          expect(await verify({ storage })).toMatchObject({ count: 0, notCounted: [] });
        },
      ),
      { numRuns, seed: 7 },
    );

  test('equals a straight count in the new zone: memory', () =>
    changes(() => new MemoryStorage({ hooks: HOOKS }), 25));

  test('equals a straight count in the new zone: SQLite', () => changes(() => sqlite(HOOKS), 2));

  test.each(['before', 'after'])(
    'is completed by the next run, if killed %s any of its steps',
    async (moment) => {
      let hasChanged = false;
      let limit = 1;
      for (; ; limit++) {
        const { storage } = await storageWith(HOOKS, RECORDS);
        const sums = await sumsOf(storage, HOOKS);
        let calls = 0;
        const kill = (call: string) => {
          calls += 1;
          if (calls >= limit) throw new Error(`killed ${moment} ${call}`);
        };
        const killed = withoutRetries(
          moment === 'before' ? watched(storage, kill) : watched(storage, () => {}, kill),
        );
        const outcome = await rebuild({ storage: killed, timeZone: BERLIN }).catch(
          (error: Error) => error.message,
        );
        if (typeof outcome === 'object') break;
        expect(outcome).toMatch(/^killed/);
        const zone = await storage.reader.timeZone('default');
        // As soon as a sum is changed, no app can store requests.
        const isChanged = JSON.stringify(await sumsOf(storage, HOOKS)) !== JSON.stringify(sums);
        if (isChanged && zone !== BERLIN) expect(zone).toBe(changingTo(BERLIN));
        hasChanged ||= isChanged;
        for (const timeZone of ['UTC', BERLIN]) {
          if (zone !== timeZone) await expect(openWriter(storage, { timeZone })).rejects.toThrow();
        }
        // The second run is killed as well, two steps later.
        calls = -2;
        await rebuild({ storage: killed, timeZone: BERLIN }).catch(() => {});
        await rebuild({ storage, timeZone: BERLIN });
        await expectStraight(storage, RECORDS, BERLIN);
      }
      expect(hasChanged).toBe(true);
      expect(limit).toBeGreaterThan(10);
    },
  );

  test('an interrupted change can end in another zone', async () => {
    const { storage } = await storageWith(HOOKS, RECORDS);
    let prunings = 0;
    const killed = watched(storage, (call) => {
      if (call === 'prune' && ++prunings === 4) throw new Error('killed');
    });
    await expect(rebuild({ storage: killed, timeZone: BERLIN })).rejects.toThrow('killed');
    await rebuild({ storage, timeZone: 'Asia/Kolkata' });
    await expectStraight(storage, RECORDS, 'Asia/Kolkata');
  });

  test('while it is interrupted, other commands name it', async () => {
    const { storage } = await storageWith(HOOKS, RECORDS);
    const killed = watched(storage, (call) => {
      if (call === 'prune') throw new Error('killed');
    });
    await expect(rebuild({ storage: killed, timeZone: BERLIN })).rejects.toThrow('killed');
    const to = new MemoryStorage({ hooks: HOOKS });
    for (const command of [
      () => verify({ storage }),
      () => rebuild({ storage }),
      () => prune({ storage }),
      () => copy({ from: storage, to, site: 'default' }),
    ]) {
      await expect(command()).rejects.toMatchObject({
        code: 'TIME_ZONE_CHANGING',
        hint: expect.stringContaining('track-usage rebuild --time-zone Europe/Berlin'),
      });
    }
    const { timeZone, advice } = await storageStatus({ storage });
    expect(timeZone).toBe(BERLIN);
    expect(advice[0]).toContain('track-usage rebuild --time-zone Europe/Berlin');
    expect((await storage.query.site()).timeZone).toBe(BERLIN);
  });

  test('the stored zone is kept, and the summaries are rebuilt', async () => {
    const { storage, writer } = await storageWith(HOOKS, RECORDS);
    await change(writer, 'urls', 'day', NOON, { '/b': 2 });
    const result = await rebuild({ storage, timeZone: 'UTC' });
    expect(result.rebuilt).toBe(1);
    expect(result.timeZone).toBeUndefined();
    await expectStraight(storage, RECORDS, 'UTC');
  });

  test('fills what a summary did not count, and keeps the key budget', async () => {
    const { storage, apply } = await storageWith([sumUrls], [{ url: '/a' }, { url: '/b' }]);
    await apply([{ url: '/a', date: NOON + 1 }], []);
    await rebuild({ storage, timeZone: BERLIN, maxKeys: 1 });
    for (const period of PERIODS) {
      expect((await rows(storage, 'urls', period)).map(([key, hits]) => [key, hits])).toEqual([
        ['/a', 2],
        ['', 1],
      ]);
    }
  });

  test('keeps what the retention has deleted deleted', async () => {
    const records = [{ date: NOON - 40 * DAY, url: '/old' }, ...RECORDS];
    const { storage, writer } = await storageWith(HOOKS, records);
    const before = calendar('UTC').dayOf(NOON);
    await pruned(writer, ['hour'], before);
    await rebuild({ storage, timeZone: BERLIN });
    const all = { site: 'default', from: -1e15, to: 1e15, target: undefined, limit: 0, offset: 0 };
    const hours = await storage.reader.sums({ ...all, summary: 'urls', period: 'hour' });
    expect(hours.map(({ key }) => key)).toEqual(['/b']);
    const days = await storage.reader.sums({ ...all, summary: 'urls', period: 'day' });
    expect(days.map(({ bucket, key }) => [calendar(BERLIN).format(bucket).slice(0, 10), key])).toEqual([
      ['2026-11-24', '/b'],
      ['2026-11-01', '/a'],
      ['2026-10-31', '/a'],
      ['2026-10-15', '/old'],
    ]);
  });
});

test('counts the first day of the new zone, which begins before the records that are kept', async () => {
  const before = calendar('UTC').monthOf(NOON);
  const records = [{ date: before + HOUR / 2 }];
  const { storage, writer } = await storageWith(HOOKS, records);
  await pruned(writer, ['records'], before);
  await rebuild({ storage, timeZone: BERLIN });
  await expectStraight(storage, records, BERLIN);
});

describe('rebuild refuses a time zone, and changes nothing', () => {
  async function expectRefused(
    { storage, options = {} }: { storage: Storage; options?: Partial<Parameters<typeof rebuild>[0]> },
    reason: RegExp,
    hooks: readonly Summary[] = HOOKS,
  ): Promise<void> {
    const before = await sumsOf(storage, hooks);
    await expect(rebuild({ storage, timeZone: BERLIN, ...options })).rejects.toMatchObject({
      code: 'TIME_ZONE_REFUSED',
      message: expect.stringMatching(reason),
    });
    expect(await sumsOf(storage, hooks)).toEqual(before);
    expect(await storage.reader.timeZone('default')).toBe('UTC');
    const app = await openWriter(storage);
    expect(await app.apply(new TestJournal('d', hooks).batch([{}]))).toBe(true);
  }

  test('if records of a bucket were deleted by the retention, unless its sums are deleted too', async () => {
    const old = { date: NOON - 40 * DAY, url: '/old' };
    const now = { date: NOON + 10 * DAY, url: '/now' };
    const { storage } = await storageWith(HOOKS, [old, now]);
    const before = calendar('UTC').monthOf(NOON);
    // The parts that track-usage prune --before deletes by default.
    await prune({ storage, before, parts: ['records', 'hour'] });
    await expectRefused({ storage }, /retention.*day 2026-10-15.*prune --months --before/);
    await prune({ storage, before, parts: ['month'] });
    await rebuild({ storage, timeZone: BERLIN });
    const { storage: straight } = await storageWith(HOOKS, [now, {}], {
      timeZone: BERLIN,
    });
    for (const period of PERIODS) {
      // The first month of the new calendar began before the kept data.
      const from = period === 'hour' ? before : Date.UTC(2026, 10, 30, 23);
      const request = { site: 'default', summary: 'urls', period, from, to: 1e15, target: undefined };
      const sums = await storage.reader.sums({ ...request, limit: 0, offset: 0 });
      expect(sums.length).toBeGreaterThan(0);
      expect(sums).toEqual(await straight.reader.sums({ ...request, limit: 0, offset: 0 }));
    }
  });

  test('if a person was deleted', async () => {
    const { storage, writer } = await storageWith(HOOKS, RECORDS);
    await change(writer, 'erased', 'day', NOON, { null: 1 });
    await expectRefused({ storage }, /person.*day 2026-11-24/);
  });

  test('if records are missing, unless forced', async () => {
    const { storage, writer } = await storageWith([sumUrls], [{ visitor: 'gone' }, { visitor: 'kept' }]);
    await maintenanceOf(writer).erase({ column: 'visitor', value: 'gone' }, 10);
    await expectRefused({ storage }, /counts 2 requests, and has 1 records/, [sumUrls]);
    await rebuild({ storage, timeZone: BERLIN, force: true });
    await expectStraight(storage, [{ visitor: 'kept' }, {}], BERLIN, [sumUrls]);
  });

  test('if a custom summary cannot be counted', async () => {
    const shops = defineSummary({ name: 'shops', key: () => 'host' });
    const keys = { keys: { shops: ['host'] } };
    const { storage, apply } = await storageWith([shops], [{ extra: keys }]);
    await apply([{ date: NOON + HOUR }], []);
    await expectRefused({ storage }, /"shops"/, [shops]);
  });

  test('for a range, an unknown zone, and while another process performs maintenance', async () => {
    const { storage, writer } = await storageWith(HOOKS, RECORDS);
    for (const range of [{ from: '2026-11-01' }, { to: '2026-11-01' }]) {
      await expect(rebuild({ storage, timeZone: BERLIN, ...range })).rejects.toMatchObject({
        code: 'QUERY_INVALID',
      });
    }
    for (const timeZone of ['Europe/Atlantis', changingTo(BERLIN), '']) {
      await expect(rebuild({ storage, timeZone })).rejects.toMatchObject({ code: 'TIME_ZONE_UNKNOWN' });
    }
    await maintenanceOf(writer).lease({ task: 'rebuild', holder: 'another', ms: 60_000 });
    await expect(rebuild({ storage, timeZone: BERLIN })).rejects.toMatchObject({ code: 'MAINTENANCE_BUSY' });
    await expectStraight(storage, RECORDS, 'UTC');
  });
});

describe('an app that stores requests meanwhile', () => {
  test('is noticed if the storage cannot refuse its batches, and the next run counts them', async () => {
    const { storage } = await storageWith(HOOKS, RECORDS);
    const late = { date: NOON, url: '/late' };
    let isLate = false;
    const watching = watched(storage, async (call, argument) => {
      const { part } = argument as { part?: string };
      if (call !== 'prune' || part !== 'month' || isLate) return;
      isLate = true;
      // Deltas of the old calendar, which arrive after the sums of days were removed.
      const batch = new TestJournal('e', HOOKS).batch([late]);
      const writer = await openWriter(storage, { timeZone: changingTo(BERLIN) });
      await writer.apply(batch);
    });
    await expect(rebuild({ storage: watching, timeZone: BERLIN })).rejects.toMatchObject({
      code: 'TIME_ZONE_BUSY',
      message: expect.stringContaining('an app stored requests meanwhile'),
      hint: expect.stringContaining('stop all apps'),
    });
    expect(await storage.reader.timeZone('default')).toBe(changingTo(BERLIN));
    await rebuild({ storage, timeZone: BERLIN });
    await expectStraight(storage, [...RECORDS, late], BERLIN);
  });

  test('deletes no records, because the lease for pruning is held', async () => {
    const { storage, writer } = await storageWith(HOOKS, RECORDS);
    const granted: boolean[] = [];
    const watching = watched(storage, async (call) => {
      if (call === 'apply') return;
      granted.push(await maintenanceOf(writer).lease({ task: 'prune', holder: 'app', ms: 60_000 }));
    });
    await rebuild({ storage: watching, timeZone: BERLIN });
    expect(granted.length).toBeGreaterThan(5);
    expect(granted).not.toContain(true);
    await expectStraight(storage, RECORDS, BERLIN);
  });

  test('names the command if its zone is another one', async () => {
    const { storage } = await storageWith(HOOKS, RECORDS);
    await expect(openWriter(storage, { timeZone: BERLIN })).rejects.toMatchObject({
      code: 'STORAGE_TIME_ZONE',
      hint: expect.stringContaining('track-usage rebuild --time-zone Europe/Berlin'),
    });
  });
});

/** Deletes old data. */
async function pruned(writer: StorageWriter, parts: readonly Part[], before: number): Promise<void> {
  const maintenance = maintenanceOf(writer);
  await maintenance.retain(Object.fromEntries(parts.map((part) => [part, { keep: '1d', before } as const])));
  for (const part of parts) while ((await maintenance.prune({ part, before, limit: 100 })) > 0);
}

/** Returns a storage whose failed batches are not repeated, as if the process had been killed. */
function withoutRetries(storage: Storage): Storage {
  return wrapped(
    storage,
    (writer) => Object.create(writer, { refuses: { value: () => true } }) as StorageWriter,
  );
}
