import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { storageStatus, sumUrls, sumVisitors } from '../../src/index.ts';
import { startHeartbeat } from '../../src/journal/heartbeat.ts';
import { encodeHead } from '../../src/journal/segment.ts';
import { wallClock } from '../../src/platform/clock.ts';
import type { Storage } from '../../src/query/storage.ts';
import { prunePlan } from '../../src/storage/prune-plan.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { OTHERS } from '../../src/summaries/coverage.ts';
import { calendar } from '../../src/summaries/periods.ts';
import { NOON } from '../../src/testing/batches.ts';
import { run } from '../cli/support.ts';
import { change, storageWith, wrapped } from './support.ts';

const DAY = 24 * 3_600_000;

function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'track-usage-status-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function atTime(ms: number): void {
  const clock = vi.spyOn(wallClock, 'now').mockReturnValue(ms);
  onTestFinished(() => clock.mockRestore());
}

/** Ten requests on each of the last 20 days. */
const RECORDS = Array.from({ length: 200 }, (_, n) => ({
  date: NOON - Math.floor(n / 10) * DAY,
  url: `/${n % 4}`,
}));

describe('status', () => {
  test('size, growth and retention', async () => {
    atTime(NOON);
    const path = join(temporaryDirectory(), 'usage.db');
    const { storage, writer } = await storageWith([sumUrls], RECORDS, {
      storage: new SqliteStorage(path, { hooks: [sumUrls] }),
    });
    const before = await storageStatus({ storage });
    expect(before).toMatchObject({
      ...{ site: 'default', timeZone: 'UTC', summaries: ['urls'], retention: {}, budgets: [] },
      ...{ oldest: '2026-11-05T12:34:56.789+00:00', newest: '2026-11-24T12:34:56.789+00:00' },
      ...{ journals: undefined, rejects: undefined },
      size: { records: { rows: 200 } },
      growth: { requestsPerDay: 10 },
    });
    expect(before.advice).toEqual([expect.stringMatching(/^No app has stored a retention yet/)]);
    const year = before.growth.bytesInYear! - before.size.total!;
    expect(year).toBeCloseTo(365 * before.growth.bytesPerDay!, -4);
    // Records and hours are 20 days old, and are kept for 30: then their size stays the same.
    const keep = { records: '30d', hour: '30d', day: 'forever', month: 'forever' } as const;
    await writer.maintenance!.retain(prunePlan(keep, calendar('UTC'), NOON));
    const after = await storageStatus({ storage });
    expect(after.advice).toEqual([]);
    expect(after.retention.records).toEqual({ keep: '30d', before: NOON - 30 * DAY - 45_296_789 });
    expect(after.growth.bytesInYear! - after.size.total!).toBeLessThan(year / 2);
  });

  test('the growth is unknown on the first day', async () => {
    atTime(NOON);
    const path = join(temporaryDirectory(), 'usage.db');
    const { storage, apply } = await storageWith([sumUrls], [{ date: NOON - 1 }], {
      storage: new SqliteStorage(path, { hooks: [sumUrls] }),
    });
    expect((await storageStatus({ storage })).growth).toEqual({
      ...{ requestsPerDay: null, bytesPerDay: null, bytesInYear: null },
    });
    expect((await run(['status', '--storage', path])).out).toContain(
      'Growth: unknown until there are records for a complete day\n',
    );
    await apply([{ date: NOON - DAY }]);
    expect((await storageStatus({ storage })).growth.requestsPerDay).toBe(1);
  });

  test('what needs attention', async () => {
    atTime(NOON);
    const { storage, writer } = await storageWith([sumUrls], RECORDS);
    await change(writer, 'urls', 'hour', NOON, { [OTHERS]: 7 });
    // Not so long ago that the clock may be wrong.
    await writer.maintenance!.retain({ records: { keep: '5d', before: Date.now() - 10 * DAY } });
    const dir = temporaryDirectory();
    const identity = join(dir, '0123456789abcdef');
    const journal = (letter: string, bytes: number) => {
      const path = join(identity, letter.repeat(32));
      mkdirSync(path, { recursive: true });
      const head = encodeHead({ site: 'default', serverName: '' });
      const file = join(path, `${'0'.repeat(16)}-${'0'.repeat(13)}.log`);
      writeFileSync(file, Buffer.concat([head, Buffer.alloc(bytes)]));
      return path;
    };
    const [dead, running] = [journal('a', 640), journal('b', 128)];
    startHeartbeat(running);
    utimesSync(join(running, 'heartbeat'), 1, 1);
    atTime(Date.now());
    writeFileSync(join(identity, 'rejected.ndjson'), '{}\n{}\n');
    // Only read: the writing end would create tables, and warn about the settings of a server.
    const reading = wrapped(storage, () => expect.unreachable('the writing end was opened'));
    const { budgets, journals, rejects, advice } = await storageStatus({ storage: reading, journal: dir });
    // The budget was reached on another day.
    expect(budgets).toEqual([]);
    expect(journals).toEqual([
      { path: dead, state: 'dead', bytes: 640, pendingBytes: 640, age: null },
      { path: running, state: 'running', bytes: 128, pendingBytes: 0, age: expect.any(Number) },
    ]);
    expect(rejects).toEqual([{ path: join(identity, 'rejected.ndjson'), records: 2 }]);
    // The reading end of a custom storage may not know positions.
    const unknown = Object.create(storage, {
      reader: { value: { ...storage.reader, position: async () => null } },
    }) as Storage;
    expect((await storageStatus({ storage: unknown, journal: dir })).journals).toEqual(journals);
    expect(advice).toEqual([
      'Records that have expired were not deleted: start the app, which deletes them, or run track-usage prune.',
      `Records in the journal ${dead} are not stored yet: start the app, which stores them.`,
      `The storage rejected records: inspect ${join(identity, 'rejected.ndjson')}, then delete the file.`,
    ]);
    atTime(NOON);
    expect((await storageStatus({ storage })).budgets).toEqual([
      { summary: 'urls', period: 'hour', hits: 7 },
    ]);
  });

  test('the budget of a month concerns visitors with a cookie, but not daily ones', async () => {
    atTime(NOON);
    const { storage, writer } = await storageWith([sumVisitors], [{ date: NOON, visitor: 'd:1' }]);
    const budgets = async () => (await storageStatus({ storage })).budgets;
    await change(writer, 'visitors', 'month', NOON, { [OTHERS]: 7 });
    expect(await budgets()).toEqual([]);
    await change(writer, 'visitors', 'day', NOON, { [OTHERS]: 5 });
    expect(await budgets()).toEqual([{ summary: 'visitors', period: 'day', hits: 5 }]);
    await change(writer, 'visitors', 'month', NOON, { 'd:1': -1, a: 1 });
    expect(await budgets()).toContainEqual({ summary: 'visitors', period: 'month', hits: 7 });
  });

  test('on the command line, as text and as JSON', async () => {
    atTime(NOON);
    const path = join(temporaryDirectory(), 'usage.db');
    const { storage } = await storageWith([sumUrls], RECORDS, {
      storage: new SqliteStorage(path, { hooks: [sumUrls] }),
    });
    const { code, out, err } = await run(['status', '--storage', path, '--journal', temporaryDirectory()]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(
      /^Storage: sqlite:.*usage\.db\nSite: default, in the time zone UTC\nSummaries: urls\n/,
    );
    expect(out).toMatch(/^Records: from 2026-11-05 12:34:56 to 2026-11-24 12:34:56$/m);
    expect(out).toMatch(/^Records +200 +[\d.]+ k?B +[\d.]+ k?B$/m);
    expect(out).toMatch(/^Growth: 10 requests and [\d.,]+ k?B per day; total size in a year: [\d.]+ [kM]B$/m);
    expect(out).toMatch(/^Retention: not stored yet$/m);
    expect(out).toMatch(
      /^Key budgets: none reached\nJournals: none\n\nNeeds attention:\n- No app has stored/m,
    );
    const json = await run(['status', '--storage', path, '--json']);
    expect(JSON.parse(json.out)).toEqual(JSON.parse(JSON.stringify(await storageStatus({ storage }))));
    expect((await run(['status', '--storage', path, '--site', 'x'])).code).toBe(1);
  });
});
