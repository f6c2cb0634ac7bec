import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { prune, storageStatus, verify } from '../../src/index.ts';
import { wallClock } from '../../src/platform/clock.ts';
import { UsageQuery } from '../../src/query/query.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { run, temporaryDirectory } from './support.ts';

/** Stores a request of each month of 2025. */
async function fill(directory: string): Promise<string> {
  const path = join(directory, 'usage.db');
  const storage = new SqliteStorage(path, { hooks: ['urls'] });
  const writer = await openWriter(storage);
  const records = Array.from({ length: 12 }, (_, month) => ({
    date: Date.UTC(2025, month, 15, 12),
    url: `/${month}`,
  }));
  await writer.apply(new TestJournal('a', storage.summaries).batch(records));
  await writer.close();
  await storage.close();
  return path;
}

test('prune deletes data before a date, and never more than what it names', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const command = ['prune', '--storage', path];
  expect(await run(command)).toEqual({
    code: 0,
    out: 'Nothing to delete: the app has stored no retention, or keeps everything. To delete data before a date, add --before.\n',
    err: '',
  });
  const dry = await run([...command, '--before', '2025-04-20', '--dry-run']);
  expect(dry.out).toBe(
    'To delete: 4 records before 2025-04-20 00:00:00.\nTo delete: 8 buckets of hours before 2025-04-20 00:00:00.\n',
  );
  const storage = new SqliteStorage(path);
  expect(await storage.getUsage()).toHaveLength(12);
  expect((await run([...command, '--before', '2025-04-20', '--records'])).out).toBe(
    'Deleted: 4 records before 2025-04-20 00:00:00.\n',
  );
  expect(await storage.getUsage()).toHaveLength(8);
  expect(await rows(storage, 'urls', 'hour')).toHaveLength(12);
  const json = await run([...command, '--before', '2025-03-20', '--days', '--json']);
  expect(JSON.parse(json.out)).toEqual({
    site: 'default',
    jump: null,
    corrected: [],
    parts: [
      { part: 'hour', keep: 'forever', before: '2025-03-20T00:00:00+00:00', rows: 6 },
      { part: 'day', keep: 'forever', before: '2025-03-01T00:00:00+00:00', rows: 4 },
    ],
  });
  const counts = await Promise.all(
    (['hour', 'day', 'month'] as const).map((period) => rows(storage, 'urls', period)),
  );
  expect(counts.map(({ length }) => length)).toEqual([9, 10, 12]);
  const writer = await openWriter(storage);
  await writer.maintenance!.retain({ records: { keep: '1d', before: null } });
  await writer.close();
  // The stored retention keeps months forever.
  expect((await run([...command, '--records', '--months', '--dry-run'])).out).toContain(
    'No months to delete: they are kept forever. To delete months before a date, add --before.\n',
  );
  // What was deleted on purpose is no damage.
  expect(await verify({ storage })).toMatchObject({ count: 0 });
  await storage.close();
});

test('prune applies the stored retention, and one process at a time', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const storage = new SqliteStorage(path);
  const writer = await openWriter(storage);
  await writer.maintenance!.retain({
    records: { keep: '1d', before: null },
    month: { keep: 'forever', before: null },
  });
  await writer.maintenance!.lease({ task: 'prune', holder: 'other', ms: 60_000 });
  await expect(prune({ storage, trustClock: true })).rejects.toMatchObject({ code: 'MAINTENANCE_BUSY' });
  await writer.maintenance!.lease({ task: 'prune', holder: 'other', ms: 0 });
  // The newest record is old, so the clock may be wrong.
  vi.spyOn(wallClock, 'now').mockReturnValue(Date.UTC(2026, 10, 24));
  onTestFinished(() => void vi.restoreAllMocks());
  expect(await run(['prune', '--storage', path])).toEqual({
    code: 1,
    out: '',
    err: expect.stringContaining(
      'the clock says 2026-11-24T00:00:00+00:00, but the last deletion or record dates from 2025-12-15T12:00:00+00:00',
    ),
  });
  expect((await run(['prune', '--storage', path, '--dry-run'])).out).toBe(
    'To delete: 12 records before 2026-11-23 00:00:00.\nThe clock says 2026-11-24 00:00:00, but the last deletion or record dates from 2025-12-15 12:00:00. If the clock is right, delete with --trust-clock.\n',
  );
  await expect(prune({ storage })).rejects.toMatchObject({ code: 'PRUNE_IMPLAUSIBLE' });
  expect(await storage.getUsage()).toHaveLength(12);
  const progress: string[] = [];
  const { parts } = await prune({
    storage,
    trustClock: true,
    onProgress: ({ part }) => progress.push(part),
  });
  expect(parts).toEqual([expect.objectContaining({ part: 'records', keep: '1d', rows: 12 })]);
  // Now the last deletion is known.
  expect(await prune({ storage })).toMatchObject({ jump: null });
  expect(progress).toContain('texts');
  expect(await storage.getUsage()).toEqual([]);
  expect(await rows(storage, 'urls', 'hour')).toHaveLength(12);
  await writer.close();
  await storage.close();
  expect((await run(['prune', '--storage', path, '--site', 'x'])).code).toBe(1);
  expect((await run(['prune', '--storage', path, '--before', 'soon'])).code).toBe(2);
});

test('prune deletes nothing before a future date, which would also delete what is stored until then', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  expect(await run(['prune', '--storage', path, '--before', '2926-01-01'])).toEqual({
    code: 2,
    out: '',
    err: 'track-usage: before is "2926-01-01"; expected a time in the past.\n',
  });
  const storage = new SqliteStorage(path);
  expect(await storage.getUsage()).toHaveLength(12);
  await storage.close();
});

test('prune moves a start of the kept data back that a wrong clock had stored, so that new requests are found', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const storage = new SqliteStorage(path, { hooks: ['urls'] });
  const now = vi.spyOn(wallClock, 'now').mockReturnValue(Date.UTC(2036, 10, 24, 12));
  onTestFinished(() => void vi.restoreAllMocks());
  const writer = await openWriter(storage);
  await writer.maintenance!.retain({ records: { keep: '90d', before: null } });
  await prune({ storage, trustClock: true });
  const today = Date.UTC(2026, 10, 24, 12);
  now.mockReturnValue(today);
  await writer.apply(new TestJournal('b', storage.summaries).batch([{ date: today, url: '/new' }]));
  const query = new UsageQuery(storage.reader, { now: () => today });
  const found = async () => (await query.records({ range: '7d' })).records.map(({ url }) => url);
  expect(await found()).toEqual([]);
  const { advice } = await storageStatus({ storage });
  expect(advice).toEqual([
    expect.stringMatching(/^Records are hidden, because a process with a wrong clock/),
  ]);
  const told =
    'the start of the kept records, which a wrong clock had moved into the future, to 2026-11-24 12:00:00.';
  const dry = await run(['prune', '--storage', path, '--dry-run']);
  expect(dry.out).toContain(`To correct: ${told}`);
  expect(await found()).toEqual([]);
  expect((await run(['prune', '--storage', path])).out).toContain(`Corrected: ${told}`);
  expect((await run(['prune', '--storage', path])).out).not.toContain('Corrected');
  expect(await found()).toEqual(['/new']);
  expect((await storageStatus({ storage })).advice).toEqual([]);
  await writer.close();
  await storage.close();
});
