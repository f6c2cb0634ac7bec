import { expect, test, vi } from 'vitest';
import { Synchronizer } from '../../src/journal/synchronizer.ts';

const timers = vi.hoisted(() => [] as { run: () => void; ms: number; isUnreferenced: boolean }[]);

vi.mock('../../src/platform/clock.ts', async (original) => ({
  ...(await original<object>()),
  setTimeout: (run: () => void, ms: number) => {
    const timer = {
      run,
      ms,
      isUnreferenced: false,
      unref: () => {
        timer.isUnreferenced = true;
      },
    };
    timers.push(timer);
    return timer;
  },
}));

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('writes are synchronized one after the other, and again after later writes', async () => {
  let done = () => {};
  const sync = vi.fn(
    () =>
      new Promise<void>((resolve) => {
        done = resolve;
      }),
  );
  const synchronizer = new Synchronizer(sync);
  synchronizer.written();
  synchronizer.written();
  expect(timers).toMatchObject([{ ms: 10, isUnreferenced: true }]);
  timers.shift()!.run();
  expect(sync).toHaveBeenCalledTimes(1);
  // It may have come too late for the synchronization in progress.
  synchronizer.written();
  expect(timers).toEqual([]);
  done();
  await turn();
  expect(timers).toHaveLength(1);
  timers.shift()!.run();
  expect(sync).toHaveBeenCalledTimes(2);
  done();
  await turn();
  expect(timers).toEqual([]);
  synchronizer.written();
  timers.shift()!.run();
  expect(sync).toHaveBeenCalledTimes(3);
});
