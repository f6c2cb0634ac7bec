import { expect, test, vi } from 'vitest';
import { listJournals } from '../../src/journal/directory.ts';
import { type Call, ERRNOS, FailingFiles, type Fault } from '../support/failing-files.ts';
import { fieldsOf, names, openJournal, readDead, temporaryDirectory } from './support.ts';

/*
 * While a disk is slow, and at the end, the journal's files are written, synchronized, closed and deleted by calls that
 * call back. Each run makes one of them fail, before or after it was done.
 */

/** The pause after an error is 2 s. Here it is short. */
vi.mock('../../src/platform/clock.ts', async (original) => {
  const clock = await original<typeof import('../../src/platform/clock.ts')>();
  const { setTimeout } = clock;
  return { ...clock, setTimeout: (run: () => void, ms: number) => setTimeout(run, ms === 2_000 ? 1 : ms) };
});

/** More than the 100 ms that the disk may take, and the 50 ms by which a wait may be taken for shorter. In ms. */
const HOLD = 200;
const WAIT = { timeout: 15_000, interval: 2 };

/** What calls back. */
const LATER = /^(open|write|fdatasync|close|mkdir|readdir|rename|unlink|rm) /;

/** A journal falls back to memory, returns to the file, and is left or deleted. Says what is wrong with the result. */
async function run(fault: (call: Call) => Fault, discard: boolean) {
  const directory = temporaryDirectory();
  const { journal, problems } = openJournal(directory, { mode: 'power', patience: 100, segmentBytes: 1_024 });
  const append = (from: number, to: number) => {
    for (const url of names(from, to)) journal.append(fieldsOf(url));
  };
  const wrong: string[] = [];
  let isSlow = false;
  const files = new FailingFiles(
    directory,
    (call) => {
      if (isSlow && call.name === 'writeSync segment') {
        isSlow = false;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HOLD);
      }
      return LATER.test(call.name) ? fault(call) : undefined;
    },
    { later: true },
  );
  try {
    append(0, 3);
    isSlow = true;
    append(3, 4);
    append(4, 30);
    const wasInMemory = journal.state === 'memory';
    await vi.waitFor(() => expect(journal.state).toBe('file'), WAIT);
    append(30, 36);
    const { path } = journal;
    await journal.close({ discard });
    files.stop();
    if (!wasInMemory) wrong.push('the disk was not slow');
    if (!discard) {
      const { urls, lost, damaged } = readDead(path);
      if (urls.join() !== names(0, 36).join()) wrong.push(`it holds ${urls}`);
      if (lost + damaged > 0) wrong.push(`${lost} records, ${damaged} bytes are missing`);
    } else if (files.failed.length === 0 && listJournals(directory).length > 0) wrong.push('it is left');
    if (files.failed.length > 0 && problems.length === 0) wrong.push('nothing was reported');
    if (journal.dropped > 0) wrong.push(`${journal.dropped} were dropped`);
  } finally {
    files.stop();
  }
  return { calls: files.calls.filter(({ name }) => LATER.test(name)), failed: files.failed, wrong };
}

test.each([
  { discard: false, names: ['close', 'fdatasync', 'mkdir', 'open', 'rename', 'write'] },
  { discard: true, names: ['close', 'fdatasync', 'mkdir', 'open', 'readdir', 'rm', 'unlink', 'write'] },
])(
  'each call that calls back fails, at its first and later turns (discard: $discard)',
  async ({ discard, names: expected }) => {
    const { calls, wrong } = await run(() => undefined, discard);
    const kinds = [...new Set(calls.map(({ name }) => name))];
    expect(wrong).toEqual([]);
    expect([...new Set(kinds.map((name) => name.split(' ')[0]))].sort()).toEqual(expected);
    for (const [i, kind] of kinds.entries()) {
      for (const [turn, after] of [
        [0, false],
        [0, true],
        [1, false],
      ] as const) {
        const errno = ERRNOS[(3 * i + turn + (after ? 2 : 0)) % ERRNOS.length]!;
        let before = turn;
        const result = await run(
          ({ name }) => (name === kind && before-- === 0 ? { errno, after } : undefined),
          discard,
        );
        wrong.push(...result.wrong.map((what) => `${kind} (${turn}) ${errno} ${after}: ${what}`));
      }
    }
    expect(wrong).toEqual([]);
  },
  60_000,
);
