import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { listJournals, segmentName } from '../../src/journal/directory.ts';
import { Disk } from '../../src/journal/disk.ts';
import {
  ADOPTION_TIMEOUT_MS,
  beat,
  claim,
  endHeartbeatLater,
  LEASE_MS,
  lastBeat,
} from '../../src/journal/heartbeat.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { DirectoryLock } from '../../src/journal/lock.ts';
import { SegmentFile } from '../../src/journal/segment-file.ts';
import { SharedState } from '../../src/journal/shared.ts';
import { monotonicClock } from '../../src/platform/clock.ts';
import { Journals, MAX_JOURNALS } from '../../src/writer/thread/journals.ts';
import { Ownership } from '../../src/writer/thread/ownership.ts';
import { fieldsOf, openJournal, readOrphan, temporaryDirectory, urlRange } from './support.ts';

let elapsed = 0;
const { now } = monotonicClock;

/** Freezes the monotonic clock of this thread until the test ends. `elapsed` advances it, in ms. */
function freezeClock(): void {
  const start = now();
  elapsed = 0;
  vi.spyOn(monotonicClock, 'now').mockImplementation(() => start + elapsed);
}

afterEach(() => vi.restoreAllMocks());

/** Returns the journals as another process would see them. */
function otherProcess(directory: string): Journals {
  return new Journals(directory, 'f'.repeat(32), new SharedState(), [false], (problem) =>
    expect.unreachable(problem.message),
  );
}

function open(directory = temporaryDirectory()) {
  const { journal, problems } = openJournal(directory);
  for (const url of urlRange(0, 3)) journal.append(fieldsOf(url));
  return { directory, journal, problems, codes: () => problems.map(({ code }) => code) };
}

const adoptedIds = (journals: Journals) => journals.all.slice(1).map(({ id }) => id);

/** Lets an adopter observe for long enough that a journal's heartbeat does not change. */
function expireHeartbeat(adopter: Journals): void {
  adopter.adopt();
  elapsed += ADOPTION_TIMEOUT_MS + 1;
  adopter.adopt();
}

describe('adoption of a journal', () => {
  test('happens after the heartbeat has not changed for long enough', () => {
    freezeClock();
    const { directory, journal } = open();
    const adopter = otherProcess(directory);
    adopter.adopt();
    elapsed += ADOPTION_TIMEOUT_MS - 1;
    adopter.adopt();
    expect(adoptedIds(adopter)).toEqual([]);
    elapsed += 2;
    adopter.adopt();
    expect(adoptedIds(adopter)).toEqual([journal.id]);
    expect(readOrphan(journal.path).urls).toEqual(urlRange(0, 3));
  });

  test('does not happen while the heartbeat changes, even if the lock is free', () => {
    freezeClock();
    const { directory, journal } = open();
    const owner = new Ownership(journal.path, journal.shared);
    const adopter = otherProcess(directory);
    for (let beats = 0; beats < 10; beats++) {
      adopter.adopt();
      elapsed += ADOPTION_TIMEOUT_MS - 1;
      expect(owner.beat()).toBe('kept');
      // As if the process itself read the file, which releases the lock.
      owner.release();
    }
    adopter.adopt();
    expect(adoptedIds(adopter)).toEqual([]);
  });

  test('does not happen while the lock is held, even if the heartbeat has stopped', () => {
    freezeClock();
    const { directory, journal } = open();
    const owner = new Ownership(journal.path, journal.shared);
    owner.beat();
    const adopter = otherProcess(directory);
    expireHeartbeat(adopter);
    expect(adoptedIds(adopter)).toEqual([]);
    owner.release();
    adopter.adopt();
    expect(adoptedIds(adopter)).toEqual([journal.id]);
  });

  test.each([
    ['closed', (journal: Journal) => journal.close({ discard: false })],
    ['left by a process that exits', async (journal: Journal) => journal.leave()],
  ])('happens immediately if the journal was %s', async (_, stop) => {
    const { directory, journal } = open();
    await stop(journal);
    const adopter = otherProcess(directory);
    adopter.adopt();
    expect(adoptedIds(adopter)).toEqual([journal.id]);
  });

  test('happens immediately if a previous adopter released it', () => {
    freezeClock();
    const { directory, journal } = open();
    const first = otherProcess(directory);
    expireHeartbeat(first);
    first.release();
    const second = otherProcess(directory);
    second.adopt();
    expect(adoptedIds(second)).toEqual([journal.id]);
  });

  test('happens after the heartbeat of a killed adopter has stopped', () => {
    freezeClock();
    const { directory, journal } = open();
    const first = otherProcess(directory);
    expireHeartbeat(first);
    first.all[1]!.adoption!.unlock();
    const second = otherProcess(directory);
    second.adopt();
    elapsed += ADOPTION_TIMEOUT_MS - 1;
    second.adopt();
    expect(adoptedIds(second)).toEqual([]);
    elapsed += 2;
    second.adopt();
    expect(adoptedIds(second)).toEqual([journal.id]);
    expect(readOrphan(journal.path).urls).toEqual(urlRange(0, 3));
  });

  test('fails if the heartbeat changes at the last moment, and succeeds for only one process', () => {
    freezeClock();
    const { journal } = open();
    const seen = lastBeat(journal.path)!;
    elapsed += LEASE_MS + 1;
    journal.append(fieldsOf('/'));
    expect(claim(journal.path, seen)).toBe(undefined);
    const last = lastBeat(journal.path)!;
    expect(last).toMatchObject({
      name: 'heartbeat',
      beat: expect.not.toSatisfy((beat) => beat === seen.beat),
    });
    expect(claim(journal.path, last)).toMatch(/^adopted-/);
    // Only one can have it.
    expect(claim(journal.path, last)).toBe(undefined);
  });
});

describe.each([
  ['was killed', () => {}],
  ['closed', (journal: Journal) => journal.close({ discard: false })],
])('an adopted journal whose owner %s', (_, stop) => {
  async function adopt() {
    const { directory, journal } = open();
    await stop(journal);
    freezeClock();
    const adopter = otherProcess(directory);
    expireHeartbeat(adopter);
    const held = adopter.all[1]!;
    expect(held.id).toBe(journal.id);
    expect(adopter.holds(held)).toBe(true);
    return { directory, adopter, held };
  }

  test('is not adopted again while its adopter runs, even if the lock is free', async () => {
    const { directory, adopter, held } = await adopt();
    const rival = otherProcess(directory);
    for (let beats = 0; beats < 10; beats++) {
      // As if the adopter's process itself read the file, which releases the lock.
      held.adoption!.unlock();
      rival.adopt();
      elapsed += ADOPTION_TIMEOUT_MS - 1;
      adopter.beat();
    }
    rival.adopt();
    expect(adoptedIds(rival)).toEqual([]);
    expect(adopter.holds(held)).toBe(true);
    expect(adopter.discard(held)).toBe(true);
    expect(listJournals(directory)).toEqual([]);
  });

  test('is neither stored nor deleted by a paused adopter after another one took over', async () => {
    const { directory, adopter, held } = await adopt();
    held.adoption!.unlock();
    const rival = otherProcess(directory);
    expireHeartbeat(rival);
    expect(adoptedIds(rival)).toEqual([held.id]);
    expect(adopter.discard(held)).toBe(false);
    expect(adopter.holds(held)).toBe(false);
    expect(adoptedIds(adopter)).toEqual([]);
    expect(readOrphan(held.directory).urls).toEqual(urlRange(0, 3));
    expect(rival.discard(rival.all[1]!)).toBe(true);
    expect(listJournals(directory)).toEqual([]);
    expect(adopter.holds(held)).toBe(false);
  });
});

describe('a process that resumes after a pause', () => {
  test('detects before an append that its journal was adopted, and starts a new one', () => {
    freezeClock();
    const { directory, journal, codes } = open();
    const { id, path } = journal;
    const onStartOver = vi.fn();
    journal.onStartOver = onStartOver;
    expireHeartbeat(otherProcess(directory));
    journal.append(fieldsOf('/3'));
    expect(codes()).toEqual(['JOURNAL_TAKEN']);
    expect(onStartOver).toHaveBeenCalledOnce();
    expect(journal.id).not.toBe(id);
    expect(readOrphan(path).urls).toEqual(urlRange(0, 3));
    expect(readOrphan(journal.path).urls).toEqual(['/3']);
    expect([journal.records, journal.recordsBefore, journal.dropped]).toEqual([4, 3, 0]);
  });

  test('starts a new journal if the adopter has already deleted the old one', () => {
    freezeClock();
    const { directory, journal, codes } = open();
    const adopter = otherProcess(directory);
    expireHeartbeat(adopter);
    expect(adopter.discard(adopter.all[1]!)).toBe(true);
    expect(listJournals(directory)).toEqual([]);
    expect(new Ownership(journal.path, journal.shared).holds()).toBe(false);
    journal.append(fieldsOf('/3'));
    expect(codes()).toEqual(['JOURNAL_TAKEN']);
    expect(readOrphan(journal.path).urls).toEqual(['/3']);
    expect(listJournals(directory)).toEqual([journal.id]);
  });

  test('continues its journal if no other process adopted it', () => {
    freezeClock();
    const { journal, problems } = open();
    const { id } = journal;
    elapsed += 60_000;
    journal.append(fieldsOf('/3'));
    expect(problems).toEqual([]);
    expect(journal.id).toBe(id);
    expect(readOrphan(journal.path).urls).toEqual(urlRange(0, 4));
  });

  test('counts the records that were only in memory as dropped', async () => {
    freezeClock();
    const { directory, journal, codes } = open();
    // A directory with the segment's name makes creating the file fail.
    mkdirSync(join(journal.path, segmentName(journal.shared.end, 3)));
    journal.reopen();
    journal.append(fieldsOf('/3'));
    expect([journal.state, ...codes()]).toEqual(['memory', 'JOURNAL_UNWRITABLE']);
    const { path } = journal;
    expireHeartbeat(otherProcess(directory));
    // The file is retried after 2 s.
    await vi.waitFor(() => expect(journal.state).toBe('file'), 5_000);
    journal.append(fieldsOf('/4'));
    expect(codes()).toEqual(['JOURNAL_UNWRITABLE', 'JOURNAL_TAKEN']);
    expect([journal.records, journal.dropped]).toEqual([4, 1]);
    expect(readOrphan(journal.path).urls).toEqual(['/4']);
    expect(path).not.toBe(journal.path);
  });

  test('treats a missing journal as deleted while no other process can have adopted it', () => {
    freezeClock();
    const { journal, codes } = open();
    const { id } = journal;
    rmSync(journal.path, { recursive: true });
    elapsed += LEASE_MS + 1;
    journal.append(fieldsOf('/3'));
    expect(codes()).toEqual(['JOURNAL_GONE']);
    expect(journal.id).toBe(id);
    expect(journal.state).toBe('file');
    expect(new Ownership(journal.path, journal.shared).beat()).toBe('kept');
  });

  test.each([
    ['is asked to confirm it', (journal: Journal) => journal.confirm()],
    ['is told that its files are gone', (journal: Journal) => journal.reopen()],
  ])('starts a new journal if the old one was adopted when it %s', (_, act) => {
    freezeClock();
    const { directory, journal, codes } = open();
    const { id } = journal;
    act(journal);
    expect([journal.id, codes()]).toEqual([id, []]);
    expireHeartbeat(otherProcess(directory));
    act(journal);
    expect(codes()).toEqual(['JOURNAL_TAKEN']);
    expect(journal.id).not.toBe(id);
    journal.append(fieldsOf('/3'));
    expect(readOrphan(journal.path).urls).toEqual(['/3']);
  });

  test('recreates a deleted journal for the records in memory, and reports it', async () => {
    freezeClock();
    const { directory, journal, codes } = open();
    const append = vi.spyOn(SegmentFile.prototype, 'append').mockImplementationOnce(() => {
      throw new Error('EIO');
    });
    journal.append(fieldsOf('/3'));
    append.mockRestore();
    await vi.waitFor(() => expect(Disk.of(directory).isBusy).toBe(false), { interval: 1 });
    rmSync(journal.path, { recursive: true });
    elapsed += LEASE_MS + 1;
    journal.leave();
    expect(codes()).toEqual(['JOURNAL_UNWRITABLE', 'JOURNAL_GONE']);
    expect(readOrphan(journal.path).urls).toEqual(['/3']);
  });

  test('does nothing after it was closed', async () => {
    freezeClock();
    const { directory, journal, codes } = open();
    const { id } = journal;
    await journal.close({ discard: false });
    expireHeartbeat(otherProcess(directory));
    journal.confirm();
    journal.reopen();
    journal.leave();
    expect([journal.id, codes()]).toEqual([id, []]);
    journal.append(fieldsOf('/3'));
    expect(journal.dropped).toBe(1);
  });
});

describe('a heartbeat', () => {
  test('of a journal without a file is kept', () => {
    expect(beat(temporaryDirectory(), new SharedState())).toBe('kept');
  });

  test('ends later as well, unless it is gone', async () => {
    const { journal } = open();
    await endHeartbeatLater(journal.path);
    expect(lastBeat(journal.path)).toMatchObject({ name: 'closed', beat: undefined });
    await endHeartbeatLater(journal.path);
    await endHeartbeatLater(temporaryDirectory());
    const blocked = open().journal;
    mkdirSync(join(blocked.path, 'closed'));
    await expect(endHeartbeatLater(blocked.path)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('many orphaned journals', () => {
  const leaveJournals = (directory: string, count: number) =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const { journal } = open(directory);
        await journal.close({ discard: false });
        return journal.id;
      }),
    );

  test('are adopted in small groups', async () => {
    const directory = temporaryDirectory();
    const expected = await leaveJournals(directory, 10);
    const adopter = otherProcess(directory);
    const order: string[] = [];
    for (adopter.adopt(); adopter.all.length > 1; ) {
      expect(adopter.all.length).toBeLessThanOrEqual(1 + 4);
      order.push(adopter.all[1]!.id);
      adopter.discard(adopter.all[1]!);
    }
    expect(order.sort()).toEqual(expected.sort());
    expect(listJournals(directory)).toEqual([]);
  });

  test('are adopted oldest first', () => {
    freezeClock();
    const directory = temporaryDirectory();
    const expected = Array.from({ length: MAX_JOURNALS + 2 }, () => open(directory).journal);
    const oldest = expected.slice(1, -1);
    const latest = () => Math.max(...expected.map(({ path }) => lastBeat(path)!.time));
    for (const { path, shared } of [...oldest, expected[0]!, expected.at(-1)!]) {
      const owner = new Ownership(path, shared);
      // File timestamps have a resolution of some milliseconds.
      for (const before = latest(); latest() <= before; ) owner.beat();
      owner.release();
    }
    const adopter = otherProcess(directory);
    expireHeartbeat(adopter);
    expect(adoptedIds(adopter)).toEqual(oldest.map(({ id }) => id));
  });

  test('are adopted although others are locked', async () => {
    const directory = temporaryDirectory();
    const locked = (await leaveJournals(directory, 60)).map((id) => DirectoryLock.take(join(directory, id)));
    const [free] = await leaveJournals(directory, 1);
    const take = vi.spyOn(DirectoryLock, 'take');
    const adopter = otherProcess(directory);
    let attempts = 0;
    for (; adopter.all.length === 1 && attempts < 10; attempts++) adopter.adopt();
    expect(adoptedIds(adopter)).toEqual([free]);
    expect(take.mock.calls.length).toBeLessThanOrEqual(61);
    expect(attempts).toBeGreaterThan(1);
    for (const lock of locked) lock!.release();
  });

  test('are deleted even if they have no records', () => {
    freezeClock();
    const directory = temporaryDirectory();
    const empty = join(directory, '0'.repeat(32));
    mkdirSync(empty);
    const adopter = otherProcess(directory);
    adopter.adopt();
    // Its process may be about to write the heartbeat.
    expect(adoptedIds(adopter)).toEqual([]);
    elapsed += ADOPTION_TIMEOUT_MS + 1;
    adopter.adopt();
    expect(adopter.discard(adopter.all[1]!)).toBe(true);
    expect(existsSync(empty)).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  });
});
