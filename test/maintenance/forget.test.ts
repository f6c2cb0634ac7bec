import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  defineSummary,
  forget,
  sumReferrers,
  sumRemotes,
  sumUrls,
  sumUsers,
  sumVisitors,
  verify,
} from '../../src/index.ts';
import { encodeHead } from '../../src/journal/segment.ts';
import type { Storage } from '../../src/query/storage.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { PERIODS } from '../../src/summaries/periods.ts';
import { NOON, type TestRecord } from '../../src/testing/batches.ts';
import { rows } from '../../src/testing/support.ts';
import { batchFileName, InFlight } from '../../src/writer/thread/in-flight.ts';
import { type Filled, storageWith, sumsOf, wrapped } from './support.ts';

const DAY = 24 * 3_600_000;
const ADDRESS = '203.0.113.77';
const PERSON = { column: 'remoteAddr', value: ADDRESS } as const;

function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'track-usage-forget-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Returns whether any file of a directory contains a text. */
function contains(directory: string, text: string): boolean {
  return readdirSync(directory).some((name) => readFileSync(join(directory, name)).includes(text));
}

const RECORDS: TestRecord[] = [
  { remoteAddr: ADDRESS, visitor: 'v1', username: 'jane', url: `http://localhost/of-${ADDRESS}` },
  { remoteAddr: ADDRESS, visitor: 'v1', date: NOON - DAY, status: 500 },
  { remoteAddr: '10.0.0.1', forwardedFor: `10.0.0.2, ${ADDRESS}`, date: NOON - 40 * DAY },
  { remoteAddr: '10.0.0.1', visitor: 'v2', username: 'janet' },
  { remoteAddr: `${ADDRESS}7`, referrer: `http://a/?ip=${ADDRESS}` },
];

describe('forget', () => {
  const engines: [name: string, create: (path: string) => Storage | undefined][] = [
    ['memory', () => undefined],
    ['SQLite', (path) => new SqliteStorage(join(path, 'usage.db'), { hooks: HOOKS })],
  ];
  const HOOKS = [sumUrls, sumRemotes, sumVisitors, sumReferrers];

  test.each(engines)('deletes records, keys and texts, and totals stay: %s', async (_, create) => {
    const directory = temporaryDirectory();
    const created = create(directory);
    const { storage } = await storageWith(HOOKS, RECORDS, created && { storage: created });
    const before = await sumsOf(storage, []);
    const counted = await forget({ storage, person: PERSON, dryRun: true });
    expect(counted).toMatchObject({ records: 3, keys: [{ summary: 'remotes', buckets: 5, hits: 2 }] });
    expect(await storage.getUsage()).toHaveLength(5);

    const result = await forget({ storage, person: PERSON });
    expect(result).toEqual({
      records: 3,
      keys: [{ summary: 'remotes', buckets: 5, hits: 2 }],
      rejected: 0,
      batches: 0,
      pending: [],
      stored: [],
      remaining: [
        { where: 'referrer', text: `http://a/?ip=${ADDRESS}` },
        { where: 'urls', text: `http://localhost/of-${ADDRESS}` },
      ],
    });
    expect((await storage.getUsage()).map(({ remoteAddr }) => remoteAddr)).toEqual([
      `${ADDRESS}7`,
      '10.0.0.1',
    ]);
    expect(await rows(storage, 'remotes', 'month')).toEqual([
      [null, 2, 10, 1, 3_000],
      ['10.0.0.1', 1, 5, 0, 1_500],
      [`${ADDRESS}7`, 1, 5, 0, 1_500],
      ['10.0.0.1', 1, 5, 0, 1_500],
    ]);
    expect(await sumsOf(storage, [])).toEqual(before);
    // The buckets are known to be incomplete, and none looks damaged.
    const { count, notCovered } = await verify({ storage });
    expect(count).toBe(0);
    expect(notCovered.map(({ period, buckets, reason }) => [period, buckets, reason])).toEqual([
      ['hour', 3, 'erased'],
      ['day', 3, 'erased'],
      ['month', 2, 'erased'],
    ]);
    expect(await forget({ storage, person: PERSON })).toMatchObject({ records: 0, keys: [] });
  });

  test('leaves nothing of a visitor and a user in the files', async () => {
    const directory = temporaryDirectory();
    const storage = new SqliteStorage(join(directory, 'usage.db'), { hooks: HOOKS });
    const id = 'visitor-4711';
    const people = [
      { visitor: id, username: 'Žofie-4711' },
      { username: 'Žofie-4711' },
      { visitor: 'other' },
    ];
    await storageWith(HOOKS, people, { storage });
    expect(contains(directory, id) && contains(directory, 'Žofie-4711')).toBe(true);
    expect(await forget({ storage, person: { column: 'visitor', value: id } })).toMatchObject({ records: 1 });
    expect(contains(directory, id)).toBe(false);
    expect(await forget({ storage, person: { column: 'username', value: 'Žofie-4711' } })).toMatchObject({
      records: 1,
      keys: [],
      remaining: [],
    });
    expect(contains(directory, 'Žofie-4711')).toBe(false);
    expect(contains(directory, 'other')).toBe(true);
  });

  test('moves the keys of custom summaries and of users, but not equal keys of another kind', async () => {
    const accounts = defineSummary({ name: 'accounts', key: () => null });
    const hooks = [accounts, sumUsers, sumReferrers];
    const { storage } = await storageWith(hooks, [
      { username: 'en', extra: { keys: { accounts: ['en', 'group'] } } },
      { referrer: 'en' },
    ]);
    const result = await forget({ storage, person: { column: 'username', value: 'en' } });
    expect(result.keys).toEqual([
      { summary: 'accounts', buckets: 3, hits: 1 },
      { summary: 'users', buckets: 3, hits: 1 },
    ]);
    expect(result.remaining).toEqual([{ where: 'referrer', text: 'en' }]);
    expect((await rows(storage, 'accounts')).map(([key, hits]) => [key, hits])).toEqual([
      [null, 2],
      ['group', 1],
    ]);
    expect((await rows(storage, 'users')).map(([key, hits]) => [key, hits])).toEqual([[null, 2]]);
    expect((await rows(storage, 'referrers')).map(([key]) => key)).toEqual(['en', null]);
  });

  test('moves keys of URLs, which may come from a function, and reports others that contain the name', async () => {
    const { storage } = await storageWith(
      [sumUrls],
      [
        { username: 'jane', urlKey: 'jane' },
        { username: 'tarzan', urlKey: 'of jane' },
      ],
    );
    const result = await forget({ storage, person: { column: 'username', value: 'jane' } });
    expect(result.keys).toEqual([{ summary: 'urls', buckets: 3, hits: 1 }]);
    expect(result.remaining).toEqual([{ where: 'urlKey', text: 'of jane' }]);
    expect((await rows(storage, 'urls')).map(([key, hits]) => [key, hits])).toEqual([
      ['of jane', 1],
      [null, 1],
    ]);
  });

  test('finds records that arrive meanwhile, and marks their hours', async () => {
    const filled: Filled = await storageWith([sumRemotes], [{ remoteAddr: ADDRESS }]);
    const { apply, storage } = filled;
    const late = [0, 1, 2].map((days) => ({ remoteAddr: ADDRESS, date: NOON - days * DAY }));
    const changed = wrapped(storage, (writer) => ({
      ...writer,
      maintenance: {
        ...writer.maintenance!,
        // Between the count of the records and their deletion.
        erase: async (...given) => {
          const record = late.pop();
          if (record) await apply([record]);
          return writer.maintenance!.erase(...given);
        },
      },
    }));
    expect(await forget({ storage: changed, person: PERSON })).toMatchObject({ records: 4 });
    expect(await storage.getUsage()).toEqual([]);
    expect(await rows(storage, 'remotes', 'month')).toEqual([[null, 4, 20, 0, 6_000]]);
    const { count, notCovered } = await verify({ storage });
    expect(count).toBe(0);
    expect(notCovered.map(({ buckets }) => buckets)).toEqual([3, 3, 1]);
  });

  test('marks the hours of records that an interrupted run had deleted, but not marked', async () => {
    const { apply, storage } = await storageWith([sumRemotes], [{}]);
    const interrupted = wrapped(storage, (writer) => ({
      ...writer,
      maintenance: {
        ...writer.maintenance!,
        erase: async (...given) => {
          await apply([{ remoteAddr: ADDRESS, date: NOON - DAY }]);
          await writer.maintenance!.erase(...given);
          throw new Error('interrupted');
        },
      },
    }));
    await expect(forget({ storage: interrupted, person: PERSON })).rejects.toThrow('interrupted');
    expect(await storage.getUsage()).toHaveLength(1);
    expect((await verify({ storage })).count).toBeGreaterThan(0);
    await forget({ storage, person: PERSON });
    const { count, notCovered } = await verify({ storage });
    expect(count).toBe(0);
    expect(notCovered.map(({ period, buckets, reason }) => [period, buckets, reason])).toEqual(
      PERIODS.map((period) => [period, 1, 'erased']),
    );
    // A complete run is not repeated.
    const recount = vi.spyOn(storage.reader, 'recount');
    await forget({ storage, person: PERSON });
    expect(recount).not.toHaveBeenCalled();
  });

  test('fails if an app stores more records of the person all the time', async () => {
    const { storage, apply } = await storageWith([sumRemotes], [{ remoteAddr: ADDRESS }]);
    const busy = wrapped(storage, (writer) => ({
      ...writer,
      maintenance: {
        ...writer.maintenance!,
        erase: async (...given) => {
          const deleted = await writer.maintenance!.erase(...given);
          if (deleted === 0) await apply([{ remoteAddr: ADDRESS }]);
          return deleted;
        },
      },
    }));
    await expect(forget({ storage: busy, person: PERSON })).rejects.toMatchObject({
      code: 'FORGET_INCOMPLETE',
    });
    // The next run finds the last one.
    expect(await forget({ storage, person: PERSON })).toMatchObject({ records: 1 });
    expect(await storage.getUsage()).toEqual([]);
  });

  test('waits until another process has pruned, because its sweep would end the own one', async () => {
    const { storage, writer } = await storageWith([sumRemotes], [{ remoteAddr: ADDRESS }]);
    const lease = (ms: number) => writer.maintenance!.lease({ task: 'prune', holder: 'other', ms });
    await lease(60_000);
    const steps: string[] = [];
    const forgotten = forget({ storage, person: PERSON, onProgress: ({ step }) => steps.push(step) });
    await vi.waitFor(() => expect(steps).toContain('keys'));
    expect(steps).not.toContain('files');
    await lease(0);
    expect(await forgotten).toMatchObject({ records: 1 });
    expect(steps).toContain('files');
    // It has ended its own lease.
    expect(await lease(0)).toBe(true);
  });

  test('deletes rejected records and stored batches, and names journals', async () => {
    const dir = temporaryDirectory();
    const identity = join(dir, '0123456789abcdef');
    const { storage, writer, apply } = await storageWith([sumRemotes], [{ remoteAddr: ADDRESS }]);
    const [stored, pending] = ['a'.padEnd(32, '0'), 'b'.padEnd(32, '0')];
    const segment = Buffer.concat([
      encodeHead({ site: 'default', serverName: '' }),
      Buffer.alloc(40),
      Buffer.from(ADDRESS),
    ]);
    for (const journal of [stored, pending]) {
      mkdirSync(join(identity, journal), { recursive: true });
      writeFileSync(join(identity, journal, `${'0'.repeat(16)}-${'0'.repeat(13)}.log`), segment);
    }
    const batches = new InFlight(identity, batchFileName(0, storage.label), 'UTC', () => {});
    const losses = { lost: 0, dropped: 0, damaged: 0 } as never;
    const saved = { journal: stored, records: undefined as never, deltas: [] };
    const text = new (await import('../../src/storage/index.ts')).RecordBatch(1);
    text.intern(ADDRESS);
    batches.save({
      batch: { ...saved, records: text, from: { position: 0, ordinal: 0 }, to: { position: 64, ordinal: 1 } },
      losses,
    });
    const record = (await storage.getUsage())[0]!;
    const line = (change: object) =>
      `${JSON.stringify({ storage: 'x', reason: 'y', record: { ...record, ...change } })}\n`;
    const others = line({ remoteAddr: '10.0.0.1' });
    writeFileSync(
      join(identity, 'rejected.ndjson'),
      `${line({})}${others}${line({ remoteAddr: null, forwardedFor: ADDRESS })}`,
    );

    const counted = await forget({ storage, person: PERSON, journal: dir, dryRun: true });
    expect(counted).toMatchObject({ records: 1, rejected: 2, batches: 0 });
    const result = await forget({ storage, person: PERSON, journal: dir, timeout: 0 });
    expect(result).toMatchObject({
      ...{ records: 1, rejected: 2, batches: 1 },
      ...{ stored: [join(identity, stored)], pending: [join(identity, pending)] },
    });
    expect(readFileSync(join(identity, 'rejected.ndjson'), 'utf8')).toBe(others);
    expect(readdirSync(join(identity, stored))).toHaveLength(1);
    // Once the app has stored the other journal, nothing is pending.
    const waiting = forget({ storage, person: PERSON, journal: dir, timeout: 10_000 });
    await writer.apply({ ...(await batchOf(pending)) });
    await apply([{}]);
    expect(await waiting).toMatchObject({
      pending: [],
      stored: [join(identity, stored), join(identity, pending)],
    });
  });

  test('refuses an empty value and an unknown kind', async () => {
    const { storage } = await storageWith([sumRemotes], [{}]);
    const refused = { code: 'OPTION_INVALID' };
    await expect(forget({ storage, person: { column: 'visitor', value: '' } })).rejects.toMatchObject(
      refused,
    );
    await expect(forget({ storage, person: { column: 'url', value: 'a' } as never })).rejects.toMatchObject(
      refused,
    );
    await expect(forget({ storage, person: PERSON, site: 'x' })).rejects.toMatchObject({
      code: 'SITE_EMPTY',
    });
  });
});

/** Returns a batch with a record of the person, at the start of a journal. */
async function batchOf(journal: string) {
  const { TestJournal } = await import('../../src/testing/batches.ts');
  return new TestJournal(journal, [sumRemotes]).batch([{ remoteAddr: ADDRESS }]);
}
