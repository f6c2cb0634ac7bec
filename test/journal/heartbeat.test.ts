import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { listJournals, segmentName } from '../../src/journal/directory.ts';
import { claim, LEASE, lastBeat, STILL } from '../../src/journal/heartbeat.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { DirectoryLock } from '../../src/journal/lock.ts';
import { SharedState } from '../../src/journal/shared.ts';
import { monotonicClock } from '../../src/platform/clock.ts';
import { Journals, MAX_HELD } from '../../src/writer/thread/journals.ts';
import { Ownership } from '../../src/writer/thread/ownership.ts';
import { fieldsOf, names, openJournal, readDead, temporaryDirectory } from './support.ts';

let time = 0;
const { now } = monotonicClock;

/** Stops the monotonic clock of everything in this thread until the test ends; `time` is what has passed. */
function stopClock(): void {
  const start = now();
  time = 0;
  vi.spyOn(monotonicClock, 'now').mockImplementation(() => start + time);
}

afterEach(() => vi.restoreAllMocks());

/** Another process, as far as journals are concerned. */
function otherProcess(directory: string): Journals {
  return new Journals(directory, 'f'.repeat(32), new SharedState(), [false], (problem) =>
    expect.unreachable(problem.message),
  );
}

function open(directory = temporaryDirectory()) {
  const { journal, problems } = openJournal(directory);
  for (const url of names(0, 3)) journal.append(fieldsOf(url));
  return { directory, journal, problems, codes: () => problems.map(({ code }) => code) };
}

const adopted = (journals: Journals) => journals.all.slice(1).map(({ id }) => id);

/** Lets an adopter see that a journal's heart stands still. */
function standStill(adopter: Journals): void {
  adopter.adopt();
  time += STILL + 1;
  adopter.adopt();
}

describe('a journal is adopted', () => {
  test('when its heart has stood still for as long as the adopter looked', () => {
    stopClock();
    const { directory, journal } = open();
    const adopter = otherProcess(directory);
    adopter.adopt();
    time += STILL - 1;
    adopter.adopt();
    expect(adopted(adopter)).toEqual([]);
    time += 2;
    adopter.adopt();
    expect(adopted(adopter)).toEqual([journal.id]);
    expect(readDead(journal.path).urls).toEqual(names(0, 3));
  });

  test('and not while it beats, whether its lock is free or not', () => {
    stopClock();
    const { directory, journal } = open();
    const owner = new Ownership(journal.path, journal.shared);
    const adopter = otherProcess(directory);
    for (let beats = 0; beats < 10; beats++) {
      adopter.adopt();
      time += STILL - 1;
      expect(owner.beat()).toBe('kept');
      // As when the process itself reads the file.
      owner.release();
    }
    adopter.adopt();
    expect(adopted(adopter)).toEqual([]);
  });

  test('and not while its lock is held, although its heart stands still', () => {
    stopClock();
    const { directory, journal } = open();
    const owner = new Ownership(journal.path, journal.shared);
    owner.beat();
    const adopter = otherProcess(directory);
    standStill(adopter);
    expect(adopted(adopter)).toEqual([]);
    owner.release();
    adopter.adopt();
    expect(adopted(adopter)).toEqual([journal.id]);
  });

  test.each([
    ['closed', (journal: Journal) => journal.close({ discard: false })],
    ['left by a process that exits', async (journal: Journal) => journal.leave()],
  ])('at once when it was %s', async (_, end) => {
    const { directory, journal } = open();
    await end(journal);
    const adopter = otherProcess(directory);
    adopter.adopt();
    expect(adopted(adopter)).toEqual([journal.id]);
  });

  test('at once when its adopter has died', () => {
    stopClock();
    const { directory, journal } = open();
    const first = otherProcess(directory);
    standStill(first);
    first.release();
    const second = otherProcess(directory);
    second.adopt();
    expect(adopted(second)).toEqual([journal.id]);
  });

  test('once its adopter was killed, when the adopter’s heart has stood still', () => {
    stopClock();
    const { directory, journal } = open();
    const first = otherProcess(directory);
    standStill(first);
    first.all[1]!.adoption!.unlock();
    const second = otherProcess(directory);
    second.adopt();
    time += STILL - 1;
    second.adopt();
    expect(adopted(second)).toEqual([]);
    time += 2;
    second.adopt();
    expect(adopted(second)).toEqual([journal.id]);
    expect(readDead(journal.path).urls).toEqual(names(0, 3));
  });

  test('by nobody when it beats in the last moment', () => {
    stopClock();
    const { journal } = open();
    const seen = lastBeat(journal.path)!;
    time += LEASE + 1;
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
])('an adopted journal whose owner %s', (_, end) => {
  async function adopt() {
    const { directory, journal } = open();
    await end(journal);
    stopClock();
    const adopter = otherProcess(directory);
    standStill(adopter);
    const held = adopter.all[1]!;
    expect(held.id).toBe(journal.id);
    expect(adopter.holds(held)).toBe(true);
    return { directory, adopter, held };
  }

  test('is not adopted again while its adopter lives, whether its lock is free or not', async () => {
    const { directory, adopter, held } = await adopt();
    const rival = otherProcess(directory);
    for (let beats = 0; beats < 10; beats++) {
      // As when the adopter's process itself reads the file.
      held.adoption!.unlock();
      rival.adopt();
      time += STILL - 1;
      adopter.beat();
    }
    rival.adopt();
    expect(adopted(rival)).toEqual([]);
    expect(adopter.holds(held)).toBe(true);
    expect(adopter.discard(held)).toBe(true);
    expect(listJournals(directory)).toEqual([]);
  });

  test('is not stored and not deleted by an adopter that was paused after another one took it', async () => {
    const { directory, adopter, held } = await adopt();
    held.adoption!.unlock();
    const rival = otherProcess(directory);
    standStill(rival);
    expect(adopted(rival)).toEqual([held.id]);
    expect(adopter.discard(held)).toBe(false);
    expect(adopter.holds(held)).toBe(false);
    expect(adopted(adopter)).toEqual([]);
    expect(readDead(held.directory).urls).toEqual(names(0, 3));
    expect(rival.discard(rival.all[1]!)).toBe(true);
    expect(listJournals(directory)).toEqual([]);
    expect(adopter.holds(held)).toBe(false);
  });
});

describe('a process that was paused', () => {
  test('finds that its journal was adopted before it appends, and begins another', () => {
    stopClock();
    const { directory, journal, codes } = open();
    const { id, path } = journal;
    const onStartOver = vi.fn();
    journal.onStartOver = onStartOver;
    standStill(otherProcess(directory));
    journal.append(fieldsOf('/3'));
    expect(codes()).toEqual(['JOURNAL_TAKEN']);
    expect(onStartOver).toHaveBeenCalledOnce();
    expect(journal.id).not.toBe(id);
    expect(readDead(path).urls).toEqual(names(0, 3));
    expect(readDead(journal.path).urls).toEqual(['/3']);
    expect([journal.records, journal.recordsBefore, journal.dropped]).toEqual([4, 3, 0]);
  });

  test('does the same when the adopter is through with it', () => {
    stopClock();
    const { directory, journal, codes } = open();
    const adopter = otherProcess(directory);
    standStill(adopter);
    expect(adopter.discard(adopter.all[1]!)).toBe(true);
    expect(listJournals(directory)).toEqual([]);
    expect(new Ownership(journal.path, journal.shared).holds()).toBe(false);
    journal.append(fieldsOf('/3'));
    expect(codes()).toEqual(['JOURNAL_TAKEN']);
    expect(readDead(journal.path).urls).toEqual(['/3']);
    expect(listJournals(directory)).toEqual([journal.id]);
  });

  test('goes on with its journal when nobody has it', () => {
    stopClock();
    const { journal, problems } = open();
    const { id } = journal;
    time += 60_000;
    journal.append(fieldsOf('/3'));
    expect(problems).toEqual([]);
    expect(journal.id).toBe(id);
    expect(readDead(journal.path).urls).toEqual(names(0, 4));
  });

  test('counts what only it had, in memory', async () => {
    stopClock();
    const { directory, journal, codes } = open();
    // Nothing can be a file where a directory is.
    mkdirSync(join(journal.path, segmentName(journal.shared.end, 3)));
    journal.reopen();
    journal.append(fieldsOf('/3'));
    expect([journal.state, ...codes()]).toEqual(['memory', 'JOURNAL_UNWRITABLE']);
    const { path } = journal;
    standStill(otherProcess(directory));
    // The file is tried again after 2 s.
    await vi.waitFor(() => expect(journal.state).toBe('file'), 5_000);
    journal.append(fieldsOf('/4'));
    expect(codes()).toEqual(['JOURNAL_UNWRITABLE', 'JOURNAL_TAKEN']);
    expect([journal.records, journal.dropped]).toEqual([4, 1]);
    expect(readDead(journal.path).urls).toEqual(['/4']);
    expect(path).not.toBe(journal.path);
  });

  test('takes a deleted journal for deleted while nobody can have adopted it', () => {
    stopClock();
    const { journal, codes } = open();
    const { id } = journal;
    rmSync(journal.path, { recursive: true });
    time += LEASE + 1;
    journal.append(fieldsOf('/3'));
    expect(codes()).toEqual(['JOURNAL_GONE']);
    expect(journal.id).toBe(id);
    expect(journal.state).toBe('file');
    expect(new Ownership(journal.path, journal.shared).beat()).toBe('kept');
  });
});

describe('many dead journals', () => {
  const leave = (directory: string, count: number) =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const { journal } = open(directory);
        await journal.close({ discard: false });
        return journal.id;
      }),
    );

  test('are adopted a few at a time', async () => {
    const directory = temporaryDirectory();
    const left = await leave(directory, 10);
    const adopter = otherProcess(directory);
    const order: string[] = [];
    for (adopter.adopt(); adopter.all.length > 1; ) {
      expect(adopter.all.length).toBeLessThanOrEqual(1 + 4);
      order.push(adopter.all[1]!.id);
      adopter.discard(adopter.all[1]!);
    }
    expect(order.sort()).toEqual(left.sort());
    expect(listJournals(directory)).toEqual([]);
  });

  test('oldest first', () => {
    stopClock();
    const directory = temporaryDirectory();
    const left = Array.from({ length: MAX_HELD + 2 }, () => open(directory).journal);
    const oldest = left.slice(1, -1);
    const latest = () => Math.max(...left.map(({ path }) => lastBeat(path)!.time));
    for (const { path, shared } of [...oldest, left[0]!, left.at(-1)!]) {
      const owner = new Ownership(path, shared);
      // The file system's clock has ticks of some milliseconds.
      for (const before = latest(); latest() <= before; ) owner.beat();
      owner.release();
    }
    const adopter = otherProcess(directory);
    standStill(adopter);
    expect(adopted(adopter)).toEqual(oldest.map(({ id }) => id));
  });

  test('do not wait for those that are locked', async () => {
    const directory = temporaryDirectory();
    const locked = (await leave(directory, 60)).map((id) => DirectoryLock.take(join(directory, id)));
    const [free] = await leave(directory, 1);
    const take = vi.spyOn(DirectoryLock, 'take');
    const adopter = otherProcess(directory);
    let looks = 0;
    for (; adopter.all.length === 1 && looks < 10; looks++) adopter.adopt();
    expect(adopted(adopter)).toEqual([free]);
    expect(take.mock.calls.length).toBeLessThanOrEqual(61);
    expect(looks).toBeGreaterThan(1);
    for (const lock of locked) lock!.release();
  });

  test('are cleaned away without a record, too', () => {
    stopClock();
    const directory = temporaryDirectory();
    const empty = join(directory, '0'.repeat(32));
    mkdirSync(empty);
    const adopter = otherProcess(directory);
    adopter.adopt();
    // Its process may be about to give it a heartbeat.
    expect(adopted(adopter)).toEqual([]);
    time += STILL + 1;
    adopter.adopt();
    expect(adopter.discard(adopter.all[1]!)).toBe(true);
    expect(existsSync(empty)).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  });
});
