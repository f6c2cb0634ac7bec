import { expect, test, vi } from 'vitest';
import { listJournals } from '../../src/journal/directory.ts';
import { type Call, ERRNOS, FailingFiles, type Fault } from '../support/failing-files.ts';
import { fieldsOf, openJournal, readOrphan, temporaryDirectory, urlRange } from './support.ts';

/*
 * While a disk is slow, and at the end, the journal's files are written, synced, closed and deleted asynchronously.
 * Each run makes one of these calls fail, before or after its effect.
 */

/** Shortens the pause of 2 s after an error. */
vi.mock('../../src/platform/clock.ts', async (original) => {
  const clock = await original<typeof import('../../src/platform/clock.ts')>();
  const { setTimeout } = clock;
  return {
    ...clock,
    setTimeout: (runWith: () => void, ms: number) => setTimeout(runWith, ms === 2_000 ? 1 : ms),
  };
});

/** Duration of a stall, ms: more than the 100 ms tolerated plus the measurement error of up to 50 ms. */
const STALL_MS = 200;
const POLL = { timeout: 15_000, interval: 2 };

/** Names of asynchronous calls. */
const ASYNC_CALL = /^(open|write|fdatasync|close|mkdir|readdir|rename|unlink|rm) /;

/**
 * Lets a journal fall back to memory, return to the file, and be closed or deleted. Returns what is wrong with the
 * result.
 */
async function runWith(fault: (call: Call) => Fault, discard: boolean) {
  const directory = temporaryDirectory();
  const { journal, problems } = openJournal(directory, {
    mode: 'power',
    maxBlockedMs: 100,
    segmentBytes: 1_024,
  });
  const append = (from: number, to: number) => {
    for (const url of urlRange(from, to)) journal.append(fieldsOf(url));
  };
  const failures: string[] = [];
  let isSlow = false;
  const files = new FailingFiles(
    directory,
    (call) => {
      if (isSlow && call.name === 'writeSync segment') {
        isSlow = false;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
      }
      return ASYNC_CALL.test(call.name) ? fault(call) : undefined;
    },
    { later: true },
  );
  try {
    append(0, 3);
    isSlow = true;
    append(3, 4);
    append(4, 30);
    const wasInMemory = journal.state === 'memory';
    await vi.waitFor(() => expect(journal.state).toBe('file'), POLL);
    append(30, 36);
    const { path } = journal;
    await journal.close({ discard });
    files.stop();
    if (!wasInMemory) failures.push('the disk was not slow');
    if (!discard) {
      const { urls, lost, damaged } = readOrphan(path);
      if (urls.join() !== urlRange(0, 36).join()) failures.push(`the journal contains ${urls}`);
      if (lost + damaged > 0) failures.push(`${lost} records, ${damaged} bytes are missing`);
    } else if (files.failed.length === 0 && listJournals(directory).length > 0)
      failures.push('the journal was not deleted');
    if (files.failed.length > 0 && problems.length === 0) failures.push('nothing was reported');
    if (journal.dropped > 0) failures.push(`${journal.dropped} records were dropped`);
  } finally {
    files.stop();
  }
  return {
    calls: files.calls.filter(({ name }) => ASYNC_CALL.test(name)),
    failed: files.failed,
    failures: failures,
  };
}

test.each([
  { discard: false, names: ['close', 'fdatasync', 'mkdir', 'open', 'rename', 'write'] },
  { discard: true, names: ['close', 'fdatasync', 'mkdir', 'open', 'readdir', 'rm', 'unlink', 'write'] },
])(
  'recovers when any asynchronous call fails, the first or a later time (discard: $discard)',
  async ({ discard, names: expected }) => {
    const { calls, failures } = await runWith(() => undefined, discard);
    const kinds = [...new Set(calls.map(({ name }) => name))];
    expect(failures).toEqual([]);
    expect([...new Set(kinds.map((name) => name.split(' ')[0]))].sort()).toEqual(expected);
    for (const [i, kind] of kinds.entries()) {
      for (const [turn, after] of [
        [0, false],
        [0, true],
        [1, false],
      ] as const) {
        const errno = ERRNOS[(3 * i + turn + (after ? 2 : 0)) % ERRNOS.length]!;
        let before = turn;
        const result = await runWith(
          ({ name }) => (name === kind && before-- === 0 ? { errno, after } : undefined),
          discard,
        );
        failures.push(...result.failures.map((failure) => `${kind} (${turn}) ${errno} ${after}: ${failure}`));
      }
    }
    expect(failures).toEqual([]);
  },
  60_000,
);
