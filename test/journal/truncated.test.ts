import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { TrackUsageError } from '../../src/errors.ts';
import { TrackUsage } from '../../src/index.ts';
import { listSegments } from '../../src/journal/directory.ts';
import { claim, endHeartbeat, lastBeat, readEnd, writeEnd } from '../../src/journal/heartbeat.ts';
import { JournalReader } from '../../src/journal/reader.ts';
import { SEGMENT_HEAD_BYTES } from '../../src/journal/segment.ts';
import { SharedState } from '../../src/journal/shared.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { fieldsOf, openJournal, readAll, temporaryDirectory, urlRange } from './support.ts';

const RECORDS = 60;

/** A journal of several segments, whose last heartbeat was written after `recorded` of its records. */
function filledJournal(recorded: number, directory = temporaryDirectory()) {
  const { journal } = openJournal(directory, { segmentBytes: 2048 });
  for (const url of urlRange(0, recorded)) journal.append(fieldsOf(url));
  writeEnd(journal.path, journal.shared);
  for (const url of urlRange(recorded, RECORDS)) journal.append(fieldsOf(url));
  return journal;
}

const readUpToEnd = (path: string) => {
  const known = readEnd(path, lastBeat(path));
  const reader = new JournalReader(path, undefined, [], 0, known);
  const found = { ...readAll(reader), isAtEnd: false };
  found.isAtEnd = reader.atEnd(found.end.position);
  reader.close();
  return found;
};

test('counts the records missing at the end up to the last heartbeat, wherever the files are truncated', async () => {
  const journal = filledJournal(50);
  const { path } = journal;
  const segments = listSegments(path);
  expect(segments.length).toBeGreaterThan(2);
  for (const segment of segments.reverse()) {
    for (let size = statSync(segment.path).size; size >= SEGMENT_HEAD_BYTES; size -= 24) {
      truncateSync(segment.path, size);
      const { urls, lost, isAtEnd, end } = readUpToEnd(path);
      expect(urls).toEqual(urlRange(0, urls.length));
      expect({ isAtEnd, lost }).toEqual({ isAtEnd: true, lost: Math.max(0, 50 - urls.length) });
      expect(end.ordinal).toBe(Math.max(50, urls.length));
    }
    rmSync(segment.path);
  }
  expect(readUpToEnd(path)).toMatchObject({ urls: [], lost: 50, end: { ordinal: 50 } });
});

test('counts the records of an unreadable tail up to the last heartbeat', () => {
  const { path } = filledJournal(RECORDS);
  const last = listSegments(path).at(-1)!.path;
  writeFileSync(last, Buffer.alloc(statSync(last).size - SEGMENT_HEAD_BYTES), { flag: 'a' });
  truncateSync(last, SEGMENT_HEAD_BYTES);
  writeFileSync(last, Buffer.alloc(10_000), { flag: 'a' });
  const { urls, lost } = readUpToEnd(path);
  expect(urls.length).toBeLessThan(RECORDS);
  expect(urls.length + lost).toBe(RECORDS);
});

test('keeps the recorded end through adoption and closing, and ignores a damaged heartbeat file', () => {
  const { path } = filledJournal(50);
  const recordedEnd = () => readEnd(path, lastBeat(path));
  const before = recordedEnd();
  expect(before).toMatchObject({ ordinal: 50 });
  const name = claim(path, lastBeat(path))!;
  expect(recordedEnd()).toEqual(before);
  // A process that resumes after a pause does not recreate the file.
  writeEnd(path, new SharedState());
  expect(lastBeat(path)!.name).toBe(name);
  endHeartbeat(path, name);
  expect(recordedEnd()).toEqual(before);
  const file = join(path, lastBeat(path)!.name);
  for (const bytes of ['', 'x'.repeat(20), readFileSync(file).subarray(1)]) {
    writeFileSync(file, bytes);
    expect(recordedEnd()).toEqual({ position: 0, ordinal: 0 });
  }
  rmSync(file);
  expect(recordedEnd()).toEqual({ position: 0, ordinal: 0 });
});

test('an app that adopts a truncated journal counts and reports the missing records', async () => {
  const directory = temporaryDirectory();
  const dir = join(directory, 'journals');
  const problems: TrackUsageError[] = [];
  const open = () => {
    const usage = new TrackUsage(
      undefined,
      new SqliteStorage(join(directory, 'usage.db'), { hooks: ['server'] }),
      {
        journal: { dir },
        onError: (error) => problems.push(error as TrackUsageError),
      },
    );
    onTestFinished(() => usage.close());
    return usage;
  };
  const first = open();
  await first.ready();
  await first.close();
  const [identity] = readdirSync(dir);
  const journal = filledJournal(RECORDS, join(dir, identity!));
  await journal.close({ discard: false });
  const segments = listSegments(journal.path);
  const kept = segments.at(-1)!.ordinal;
  rmSync(segments.at(-1)!.path);
  // A journal that was stored has no segments while it is being deleted.
  const deleted = filledJournal(RECORDS, join(dir, identity!));
  await deleted.close({ discard: false });
  for (const { path } of listSegments(deleted.path)) rmSync(path);
  const usage = open();
  await expect.poll(() => usage.status().storages[0]!.lost, { timeout: 20_000 }).toBe(RECORDS - kept);
  // Both are eventually deleted, and nothing more is lost.
  await expect.poll(() => readdirSync(join(dir, identity!)).length, { timeout: 20_000 }).toBe(1);
  expect(usage.status().storages[0]!.lost).toBe(RECORDS - kept);
  const [total] = await usage.getSum('server', { period: 'month' });
  expect(total).toMatchObject({ hits: kept });
  await expect.poll(() => problems.map(({ code }) => code)).toEqual(['JOURNAL_DROPPED']);
  expect(problems[0]!.message).toContain(`: ${RECORDS - kept};`);
}, 30_000);
