import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Disk } from '../../src/journal/disk.ts';
import { JOURNAL_MODES } from '../../src/journal/journal.ts';
import type { MemoryPiece } from '../../src/journal/pieces.ts';
import { releasePieces } from '../../src/journal/pieces.ts';
import { monotonicClock } from '../../src/platform/clock.ts';
import { StalledDisk } from './stalled-disk.ts';
import {
  fieldsOf,
  liveReader,
  openJournal,
  readAll,
  readOrphan,
  temporaryDirectory,
  urlRange,
} from './support.ts';

let disk: StalledDisk;
beforeEach(() => {
  disk = new StalledDisk();
  return () => disk.restore();
});

/** Opens a journal whose pieces in memory reach a reader, as they do in the writer's thread. */
function open(options: Parameters<typeof openJournal>[1] = {}) {
  const opened = openJournal(temporaryDirectory(), { maxBlockedMs: 100, ...options });
  const { journal } = opened;
  const pieces: MemoryPiece[] = [];
  journal.onMemoryPiece = (piece) => pieces.push(piece);
  journal.onWritten = (position) => releasePieces(pieces, position);
  const reader = liveReader(journal, pieces);
  let next = 0;
  /** Appends records, one per turn of the event loop. */
  const append = async (count: number) => {
    for (const url of urlRange(next, next + count)) {
      journal.append(fieldsOf(url));
      journal.appendPending();
      await new Promise((resolve) => setImmediate(resolve));
    }
    next += count;
  };
  return { ...opened, pieces, reader, append };
}

/** Duration of a stall, ms: more than the 100 ms tolerated plus the measurement error of up to 50 ms. */
const STALL_MS = 200;
const POLL = { timeout: 15_000, interval: 5 };

describe.each(JOURNAL_MODES)('a stalled disk, mode %s', { timeout: 30_000 }, (mode) => {
  test('blocks the thread once, whichever call stalls, and no record is lost', async () => {
    // A segment of 4 KiB holds about 25 records.
    const options = { mode, segmentBytes: 4096 };
    const calls = new Set<string>();
    const { append } = open(options);
    disk.onCall = (name) => calls.add(name);
    await append(60);
    disk.onCall = undefined;
    expect(calls).toContain('writeSync');
    expect(calls).toContain('openSync');
    for (const call of mode === 'append' ? calls : ['writeSync', 'openSync'])
      await expectRecovery(call, options);
  });

  async function expectRecovery(call: string, options: Parameters<typeof open>[0]) {
    const { journal, problems, pieces, reader, append } = open(options);
    const before = 20;
    await append(before);
    disk.blockedCalls.length = 0;
    disk.maxPending = 0;
    disk.stallAt(call, STALL_MS);
    await append(200);
    // Time that the thread waits for a CPU does not count, so a busy machine may need a second call to notice.
    expect(disk.blockedCalls).toBeOneOf([[call], [call, call]]);
    expect(journal.state).toBe('memory');
    expect(disk.maxPending).toBe(1);
    expect(journal.slowAppends).toBe(disk.blockedCalls.length);
    expect(readAll(reader).urls).toEqual(urlRange(0, before + 200));
    // The journal needs this time to recognize that the disk is slow.
    await sleep(100);
    disk.release();
    await vi.waitFor(() => expect(journal.state).toBe('file'), POLL);
    await append(100);
    const all = { urls: urlRange(0, before + 300), damaged: 0, lost: 0 };
    expect(pieces).toEqual([]);
    expect(readAll(reader)).toMatchObject(all);
    // As another process would read it after SIGKILL.
    expect(readOrphan(journal.path)).toMatchObject(all);
    expect(journal.dropped).toBe(0);
    expect(problems.map(({ code }) => code)).toEqual(['JOURNAL_SLOW']);
  }

  test('is avoided for longer after each stall', async () => {
    const { journal, append } = open({ mode });
    const slow = () => journal.slowAppends;
    const recoveryTimes: number[] = [];
    for (let round = 0; round < 3; round++) {
      await append(5);
      disk.stall(STALL_MS);
      await append(5);
      disk.release();
      const began = performance.now();
      await vi.waitFor(() => expect(journal.state).toBe('file'), POLL);
      recoveryTimes.push(performance.now() - began);
    }
    expect(slow()).toBe(3);
    expect(recoveryTimes[0]).toBeLessThan(recoveryTimes[1]!);
    expect(recoveryTimes[1]).toBeLessThan(recoveryTimes[2]!);
    await append(5);
    expect(readOrphan(journal.path)).toMatchObject({ urls: urlRange(0, 35), damaged: 0, lost: 0 });
  });
});

test('appends a record with a single system call', async () => {
  // No time passes, so that neither a slow disk nor the next heartbeat adds calls.
  const now = vi.spyOn(monotonicClock, 'now').mockReturnValue(monotonicClock.now());
  onTestFinished(() => now.mockRestore());
  const { append } = open();
  await append(1);
  const calls: string[] = [];
  disk.onCall = (name) => calls.push(name);
  await append(10);
  expect(calls).toEqual(Array(10).fill('writeSync'));
});

test('limits memory while the disk stalls, and counts the dropped records', async () => {
  const { journal, append } = open({ memoryBytes: 4096 });
  await append(1);
  disk.stall(STALL_MS);
  await append(100);
  expect(journal.records + journal.dropped).toBe(101);
  expect(journal.dropped).toBeGreaterThan(50);
  disk.release();
  await vi.waitFor(() => expect(journal.state).toBe('file'), POLL);
  expect(readOrphan(journal.path)).toMatchObject({ urls: urlRange(0, journal.records), damaged: 0, lost: 0 });
});

test('does not mistake a busy machine for a slow disk', async () => {
  const { journal, append } = open();
  // The thread computes or waits for the CPU, and is not blocked.
  disk.block = (ms) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };
  disk.stall(120);
  await append(5);
  expect(disk.blockedCalls).toHaveLength(5);
  disk.release();
  expect(journal).toMatchObject({ state: 'file', slowAppends: 0 });
});

test('counts a single slow write without reporting it', async () => {
  const { journal, problems, append } = open();
  disk.stall(STALL_MS);
  const appending = append(1);
  disk.release();
  await appending;
  await vi.waitFor(() => expect(journal.state).toBe('file'), POLL);
  expect(journal.slowAppends).toBe(1);
  expect(problems).toEqual([]);
});

test('does not write records to the file that were stored from memory', async () => {
  const { journal, append } = open();
  await append(5);
  disk.stall(STALL_MS);
  await append(50);
  const { committed } = Object.assign(journal.shared, { committed: journal.shared.end });
  expect(journal.memoryPieces()).toEqual([]);
  disk.release();
  await vi.waitFor(() => expect(journal.state).toBe('file'), POLL);
  await append(5);
  const from = { position: committed, ordinal: 55 };
  const reader = liveReader(journal);
  expect(readAll(reader, from)).toMatchObject({ urls: urlRange(55, 60), damaged: 0, lost: 0 });
});

test.each([
  { discard: false, remaining: 30 },
  { discard: true, remaining: 0 },
])('close waits for a disk that recovers in time (discard: $discard)', async ({ discard, remaining }) => {
  const { journal, problems, append } = open();
  await append(10);
  disk.stall(STALL_MS);
  await append(20);
  const closing = journal.close({ discard });
  await sleep(100);
  disk.release();
  await closing;
  expect(readOrphan(journal.path).urls).toEqual(urlRange(0, remaining));
  expect(problems.map(({ code }) => code)).not.toContain('RECORDS_LOST');
});

test('close reports the records that it could not write', async () => {
  const { journal, problems, append } = open();
  await append(10);
  disk.stall(STALL_MS);
  await append(20);
  const began = performance.now();
  await journal.close({ discard: false });
  expect(performance.now() - began).toBeLessThan(3_000);
  // The slow append reached its file.
  expect(problems.at(-1)).toMatchObject({
    code: 'RECORDS_LOST',
    message: expect.stringMatching(/^records lost at close: 19; /),
  });
  expect(journal).toMatchObject({ records: 11, dropped: 19 });
});

test('writes pending records at process exit, unless the disk stalls', async () => {
  const { journal, append } = open();
  await append(10);
  disk.stall(STALL_MS);
  await append(20);
  const kept = disk.blockedCalls.length;
  await vi.waitFor(() => expect(disk.maxPending).toBe(1));
  await sleep(100);
  journal.leave();
  expect(disk.blockedCalls).toHaveLength(kept);
  disk.release();
  await vi.waitFor(() => expect(journal.state).toBe('file'), POLL);
  // Before the journal had a chance to recover.
  disk.stall(STALL_MS);
  journal.append(fieldsOf('/30'));
  journal.append(fieldsOf('/31'));
  disk.release();
  journal.leave();
  expect(readOrphan(journal.path).urls).toEqual(urlRange(0, 32));
});

test('runs one operation at a time for all journals on a disk', async () => {
  const journals = Array.from({ length: 5 }, () => open({ mode: 'power' }));
  disk.stall(STALL_MS);
  for (const { append } of journals) await append(3);
  await sleep(100);
  expect(disk.maxPending).toBe(1);
  disk.release();
  for (const { journal } of journals) {
    await vi.waitFor(() => expect(journal.state).toBe('file'), POLL);
    expect(readOrphan(journal.path).urls).toEqual(urlRange(0, 3));
  }
});

test('does not mistake a busy event loop for a slow disk', async () => {
  const slow: boolean[] = [];
  const real = new Disk();
  const busy = setInterval(() => {
    const until = performance.now() + 120;
    while (performance.now() < until);
  }, 1);
  onTestFinished(() => clearInterval(busy));
  for (let i = 0; i < 5; i++) {
    const { isSlow } = await real.run(async () => {
      const { stat } = await import('node:fs');
      await new Promise((resolve) => stat('.', resolve));
    });
    slow.push(isSlow);
  }
  clearInterval(busy);
  expect(slow).toEqual([false, false, false, false, false]);
  expect(await real.run(() => sleep(150))).toMatchObject({ isSlow: true });
});
