import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Disk } from '../../src/journal/disk.ts';
import { JOURNAL_MODES } from '../../src/journal/journal.ts';
import type { MemoryPiece } from '../../src/journal/pieces.ts';
import { releasePieces } from '../../src/journal/pieces.ts';
import { StalledDisk } from './stalled-disk.ts';
import {
  fieldsOf,
  liveReader,
  names,
  openJournal,
  readAll,
  readDead,
  temporaryDirectory,
} from './support.ts';

let disk: StalledDisk;
beforeEach(() => {
  disk = new StalledDisk();
  return () => disk.restore();
});

/** A journal whose pieces in memory reach a reader, as they do in the writer's thread. */
function open(options: Parameters<typeof openJournal>[1] = {}) {
  const opened = openJournal(temporaryDirectory(), { patience: 100, ...options });
  const { journal } = opened;
  const pieces: MemoryPiece[] = [];
  journal.onMemoryPiece = (piece) => pieces.push(piece);
  journal.onWritten = (position) => releasePieces(pieces, position);
  const reader = liveReader(journal, pieces);
  let next = 0;
  /** Appends records, one in each turn. */
  const append = async (count: number) => {
    for (const url of names(next, next + count)) {
      journal.append(fieldsOf(url));
      journal.appendPending();
      await new Promise((resolve) => setImmediate(resolve));
    }
    next += count;
  };
  return { ...opened, pieces, reader, append };
}

/** More than the 100 ms that are tolerated, and the 50 ms by which a wait may be taken for shorter. */
const HOLD = 200;
const WAIT = { timeout: 15_000, interval: 5 };

describe.each(JOURNAL_MODES)('a disk that stalls, mode %s', { timeout: 30_000 }, (mode) => {
  test('keeps the thread once, whatever it is at, and nothing is lost', async () => {
    // Segments of 4 KiB end within some 25 records.
    const options = { mode, segmentBytes: 4096 };
    const calls = new Set<string>();
    const { append } = open(options);
    disk.onCall = (name) => calls.add(name);
    await append(60);
    disk.onCall = undefined;
    expect(calls).toContain('writeSync');
    expect(calls).toContain('openSync');
    for (const call of mode === 'append' ? calls : ['writeSync', 'openSync']) await stallsAt(call, options);
  });

  async function stallsAt(call: string, options: Parameters<typeof open>[0]) {
    const { journal, problems, pieces, reader, append } = open(options);
    const before = 20;
    await append(before);
    disk.kept.length = 0;
    disk.mostOutstanding = 0;
    disk.stallAt(call, HOLD);
    await append(200);
    expect(disk.kept).toEqual([call]);
    expect(journal.state).toBe('memory');
    expect(disk.mostOutstanding).toBe(1);
    expect(journal.slowAppends).toBe(disk.kept.length);
    expect(readAll(reader).urls).toEqual(names(0, before + 200));
    // For the journal to see that it is the disk that is slow.
    await sleep(100);
    disk.release();
    await vi.waitFor(() => expect(journal.state).toBe('file'), WAIT);
    await append(100);
    const all = { urls: names(0, before + 300), damaged: 0, lost: 0 };
    expect(pieces).toEqual([]);
    expect(readAll(reader)).toMatchObject(all);
    // As the next process finds it after SIGKILL.
    expect(readDead(journal.path)).toMatchObject(all);
    expect(journal.dropped).toBe(0);
    expect(problems.map(({ code }) => code)).toEqual(['JOURNAL_SLOW']);
  }

  test('that stalls again and again is left alone for longer each time', async () => {
    const { journal, append } = open({ mode });
    const slow = () => journal.slowAppends;
    const stays: number[] = [];
    for (let round = 0; round < 3; round++) {
      await append(5);
      disk.stall(HOLD);
      await append(5);
      disk.release();
      const began = performance.now();
      await vi.waitFor(() => expect(journal.state).toBe('file'), WAIT);
      stays.push(performance.now() - began);
    }
    expect(slow()).toBe(3);
    expect(stays[0]).toBeLessThan(stays[1]!);
    expect(stays[1]).toBeLessThan(stays[2]!);
    await append(5);
    expect(readDead(journal.path)).toMatchObject({ urls: names(0, 35), damaged: 0, lost: 0 });
  });
});

test('memory is bounded while the disk stalls, and what finds no room is counted', async () => {
  const { journal, append } = open({ memoryBytes: 4096 });
  await append(1);
  disk.stall(HOLD);
  await append(100);
  expect(journal.records + journal.dropped).toBe(101);
  expect(journal.dropped).toBeGreaterThan(50);
  disk.release();
  await vi.waitFor(() => expect(journal.state).toBe('file'), WAIT);
  expect(readDead(journal.path)).toMatchObject({ urls: names(0, journal.records), damaged: 0, lost: 0 });
});

test('a busy machine is not taken for a slow disk', async () => {
  const { journal, append } = open();
  // The thread has no processor for a while, or computes: it is not blocked.
  disk.wait = (ms) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };
  disk.stall(120);
  await append(5);
  expect(disk.kept).toHaveLength(5);
  disk.release();
  expect(journal).toMatchObject({ state: 'file', slowAppends: 0 });
});

test('a wait of 50 to 100 ms is tolerated once, and not a second time soon after', async () => {
  const { journal, append } = open();
  // Only up to 50 ms of it may be taken for work of the thread.
  disk.stall(100);
  await append(1);
  const [first] = [journal.state];
  await append(10);
  expect(first).toBe('file');
  expect(disk.kept.length).toBeLessThanOrEqual(3);
  expect(journal.state).toBe('memory');
  disk.release();
  await vi.waitFor(() => expect(journal.state).toBe('file'), WAIT);
  expect(readDead(journal.path).urls).toEqual(names(0, 11));
});

test('a write that is slow once is counted, not reported', async () => {
  const { journal, problems, append } = open();
  disk.stall(HOLD);
  const appending = append(1);
  disk.release();
  await appending;
  await vi.waitFor(() => expect(journal.state).toBe('file'), WAIT);
  expect(journal.slowAppends).toBe(1);
  expect(problems).toEqual([]);
});

test('what the storages have from memory needs no file any more', async () => {
  const { journal, append } = open();
  await append(5);
  disk.stall(HOLD);
  await append(50);
  const { committed } = Object.assign(journal.shared, { committed: journal.shared.end });
  expect(journal.memoryPieces()).toEqual([]);
  disk.release();
  await vi.waitFor(() => expect(journal.state).toBe('file'), WAIT);
  await append(5);
  const from = { position: committed, ordinal: 55 };
  const reader = liveReader(journal);
  expect(readAll(reader, from)).toMatchObject({ urls: names(55, 60), damaged: 0, lost: 0 });
});

test.each([
  { discard: false, left: 30 },
  { discard: true, left: 0 },
])('close waits for a disk that comes back in time (discard: $discard)', async ({ discard, left }) => {
  const { journal, problems, append } = open();
  await append(10);
  disk.stall(HOLD);
  await append(20);
  const closing = journal.close({ discard });
  await sleep(100);
  disk.release();
  await closing;
  expect(readDead(journal.path).urls).toEqual(names(0, left));
  expect(problems.map(({ code }) => code)).not.toContain('RECORDS_LOST');
});

test('close says what it had to leave behind', async () => {
  const { journal, problems, append } = open();
  await append(10);
  disk.stall(HOLD);
  await append(20);
  const began = performance.now();
  await journal.close({ discard: false });
  expect(performance.now() - began).toBeLessThan(3_000);
  // The slow append reached its file.
  expect(problems.at(-1)).toMatchObject({ code: 'RECORDS_LOST', message: /19 records/ });
  expect(journal).toMatchObject({ records: 11, dropped: 19 });
});

test('a process that exits writes what it has, unless the disk stalls', async () => {
  const { journal, append } = open();
  await append(10);
  disk.stall(HOLD);
  await append(20);
  const kept = disk.kept.length;
  await vi.waitFor(() => expect(disk.mostOutstanding).toBe(1));
  await sleep(100);
  journal.leave();
  expect(disk.kept).toHaveLength(kept);
  disk.release();
  await vi.waitFor(() => expect(journal.state).toBe('file'), WAIT);
  // Before it had a chance to recover.
  disk.stall(HOLD);
  journal.append(fieldsOf('/30'));
  journal.append(fieldsOf('/31'));
  disk.release();
  journal.leave();
  expect(readDead(journal.path).urls).toEqual(names(0, 32));
});

test('one operation runs at a time for all journals on a disk', async () => {
  const journals = Array.from({ length: 5 }, () => open({ mode: 'power' }));
  disk.stall(HOLD);
  for (const { append } of journals) await append(3);
  await sleep(100);
  expect(disk.mostOutstanding).toBe(1);
  disk.release();
  for (const { journal } of journals) {
    await vi.waitFor(() => expect(journal.state).toBe('file'), WAIT);
    expect(readDead(journal.path).urls).toEqual(names(0, 3));
  }
});

test('a busy event loop is not taken for a slow disk', async () => {
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
