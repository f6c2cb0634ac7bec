import { beforeEach, expect, test, vi } from 'vitest';
import { type MaintenanceSession, withMaintenance } from '../../src/maintenance/delta-journal.ts';
import { rebuild } from '../../src/maintenance/rebuild.ts';
import type { DeltaRow } from '../../src/storage/batch-rows.ts';
import type { StorageMaintenance } from '../../src/storage/contract.ts';
import { sumUrls } from '../../src/summaries/standard.ts';
import { NOON } from '../../src/testing/batches.ts';
import { change, storageWith, sumsOf, wrapped } from './support.ts';

interface Timer {
  run: () => void;
  ms: number;
  isReferenced: boolean;
}

/** A clock that moves when a test moves it, and the timers that are set. */
const clock = vi.hoisted(() => ({ now: 0, timers: [] as Timer[] }));

vi.mock('../../src/platform/clock.ts', async (original) => ({
  ...(await original<object>()),
  monotonicClock: { now: () => clock.now },
  setInterval: (run: () => void, ms: number) => {
    const timer = { run, ms, isReferenced: true, unref: () => (timer.isReferenced = false) };
    clock.timers.push(timer);
    return timer;
  },
  clearInterval: (timer: Timer) => {
    clock.timers = clock.timers.filter((each) => each !== timer);
  },
}));

beforeEach(() => {
  Object.assign(clock, { now: 1_000_000, timers: [] });
});

const SECOND = 1_000;
const DAMAGE: DeltaRow = {
  ...{ summary: 'urls', period: 'hour', bucket: Date.UTC(2026, 10, 24, 12), key: '/' },
  ...{ hits: 5, transfer: 0, errors: 0, duration: 0 },
};

/** Lets time pass, and runs the timers that are due every 20 seconds. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 20 * SECOND) {
    clock.now += 20 * SECOND;
    for (const { run } of clock.timers) run();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Storage whose leases end by the clock of the test, and that refuses overlapping calls. */
async function watched() {
  const { storage } = await storageWith([sumUrls], [{ url: '/', date: NOON }]);
  const leases: { holder: string; until: number }[] = [];
  const calls: string[] = [];
  let inProgress = 0;
  const alone = async <T>(name: string, call: () => Promise<T>): Promise<T> => {
    calls.push(name);
    inProgress += 1;
    expect(inProgress, `${name} overlaps another call`).toBe(1);
    try {
      return await call();
    } finally {
      inProgress -= 1;
    }
  };
  const request: StorageMaintenance['lease'] = async ({ holder, ms }) => {
    const last = leases.at(-1);
    if (last && last.holder !== holder && last.until > clock.now) return false;
    leases.push({ holder, until: clock.now + ms });
    return true;
  };
  const scrub = Promise.withResolvers<void>();
  const of = wrapped(storage, (writer) => ({
    ...writer,
    apply: (batch) => alone('apply', () => writer.apply(batch)),
    maintenance: {
      ...writer.maintenance!,
      lease: (given) => alone(given.ms === 0 ? 'release' : 'lease', () => request(given)),
      scrub: () => alone('scrub', () => scrub.promise),
    },
  }));
  return { storage: of, calls, leases, request, scrub };
}

test('a step that takes long keeps the lease, and the timer ends with the maintenance', async () => {
  const { storage, calls, request } = await watched();
  await withMaintenance(storage, 'default', 'UTC', async (session) => {
    expect(clock.timers).toMatchObject([{ ms: 20 * SECOND, isReferenced: false }]);
    for (let minutes = 0; minutes < 5; minutes++) {
      await pass(60 * SECOND);
      expect(await request({ task: 'rebuild', holder: 'other', ms: 60_000 })).toBe(false);
    }
    await session.change([DAMAGE]);
  });
  expect(clock.timers).toEqual([]);
  expect(calls.filter((call) => call === 'lease')).toHaveLength(1 + 15);
  expect(calls.at(-1)).toBe('release');
  expect((await storage.getSum(sumUrls, { period: 'hour' }))[0]!.hits).toBe(6);
});

test('the timer ends if the maintenance fails', async () => {
  const { storage } = await watched();
  const failing = withMaintenance(storage, 'default', 'UTC', async () => {
    throw new Error('failed');
  });
  await expect(failing).rejects.toThrow('failed');
  expect(clock.timers).toEqual([]);
});

test('a renewal waits for the call in progress', async () => {
  const { storage, calls, scrub } = await watched();
  await withMaintenance(storage, 'default', 'UTC', async ({ maintenance }) => {
    const scrubbing = maintenance.scrub();
    await pass(40 * SECOND);
    expect(calls.at(-1)).toBe('scrub');
    scrub.resolve();
    await scrubbing;
    await pass(20 * SECOND);
    expect(calls.slice(-2)).toEqual(['scrub', 'lease']);
  });
});

test('a lost lease stops the work with an error, even if it is free again', async () => {
  const { storage, leases } = await watched();
  const lost = withMaintenance(storage, 'default', 'UTC', async (session) => {
    leases.push({ holder: 'other', until: clock.now + 60_000 });
    await pass(20 * SECOND);
    leases.length = 0;
    await pass(40 * SECOND);
    await session.change([DAMAGE]);
  });
  await expect(lost).rejects.toMatchObject({ code: 'MAINTENANCE_LOST' });
  expect((await storage.getSum(sumUrls, { period: 'hour' }))[0]!.hits).toBe(1);
});

test('a call that takes longer than the lease lasts only matters for what was read before', async () => {
  const { storage, scrub } = await watched();
  const slow = (session: MaintenanceSession) => {
    const scrubbing = session.maintenance.scrub();
    clock.now += 61 * SECOND;
    for (const { run } of clock.timers) run();
    scrub.resolve();
    return scrubbing;
  };
  await withMaintenance(storage, 'default', 'UTC', async (session) => {
    await slow(session);
    await session.renew();
    await session.change([DAMAGE]);
  });
  const late = withMaintenance(storage, 'default', 'UTC', async (session) => {
    await slow(session);
    await session.change([DAMAGE]);
  });
  await expect(late).rejects.toMatchObject({ code: 'MAINTENANCE_LOST' });
  expect((await storage.getSum(sumUrls, { period: 'hour' }))[0]!.hits).toBe(6);
});

test('a process that was suspended does not change what it read before', async () => {
  const { storage } = await watched();
  const writer = await storage.openWriter!({ site: 'default', timeZone: 'UTC', durable: false });
  await change(writer, 'urls', 'hour', NOON, { '/': 5 });
  const before = await sumsOf(storage, [sumUrls]);
  const { recount } = storage.reader;
  // The last bucket is read before the process is suspended, and compared afterwards.
  const reader = Object.create(storage.reader, {
    recount: {
      value: async (...given: Parameters<typeof recount>) => {
        const found = await recount.apply(storage.reader, given);
        clock.now += 61 * SECOND;
        return found;
      },
    },
  });
  const suspended = Object.create(storage, { reader: { value: reader } });
  await expect(rebuild({ storage: suspended })).rejects.toMatchObject({ code: 'MAINTENANCE_LOST' });
  expect(await sumsOf(storage, [sumUrls])).toEqual(before);
  await rebuild({ storage });
  expect(await sumsOf(storage, [sumUrls])).not.toEqual(before);
});
