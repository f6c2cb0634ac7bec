import { expect, onTestFinished, test } from 'vitest';
import type { Storage } from '../../src/index.ts';
import type { StorageMaintenance, StorageWriter, WriterContext } from '../../src/storage/contract.ts';
import { maxKeysOf } from '../../src/storage/key-budget.ts';
import { OTHERS } from '../../src/summaries/coverage.ts';
import { PERIODS } from '../../src/summaries/periods.ts';
import { NOON, TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { openWriter, rows } from '../../src/testing/support.ts';

const DAY = 24 * 3_600_000;

/** A database of an SQL server. */
export interface ServerDatabase {
  /**
   * Creates a storage.
   * @param before Called before each statement, which waits for it.
   */
  storage(before?: (sql: string) => Promise<void>): Storage;
  /** Runs a statement as another program. */
  query(sql: string): Promise<readonly Record<string, unknown>[]>;
  /** Qualified name of a table. */
  table(name: string): string;
  /** Name of the table of the sums of hours. */
  hours: string;
  /** Qualified names of the table and the view of the records, and the statement of the view. */
  records: { table: string; view: string; select: string };
  /** Locks the rows of a statement until the returned function is called. */
  lock(select: string): Promise<() => Promise<void>>;
  /** Waits until a statement of the storage waits for a lock. Returns a function that kills its connection. */
  blocked(): Promise<() => Promise<void>>;
}

/** Registers tests of maintenance and budgets in an SQL server. */
export function sqlMaintenanceCases(open: () => Promise<ServerDatabase>): void {
  const opened = async () => {
    const database = await open();
    const storage = database.storage();
    onTestFinished(() => storage.close());
    const writer = async (context: Partial<WriterContext> = {}, of = storage) => {
      const opening = await openWriter(of, context);
      onTestFinished(() => opening.close());
      return opening as StorageWriter & { maintenance: StorageMaintenance };
    };
    /** Opens a writer. Its first batch, when it is about to be stored, waits until `run` is done. */
    const late = (context: Partial<WriterContext>, run: () => Promise<void>) => {
      let isDone = false;
      const waiting = database.storage(async (sql) => {
        if (isDone || !/^\s*(WITH sweep|START TRANSACTION)/.test(sql)) return;
        isDone = true;
        await run();
      });
      onTestFinished(() => waiting.close());
      return writer(context, waiting);
    };
    return { database, storage, writer, late };
  };
  const daysAgo = (days: number): TestRecord[] =>
    Array.from({ length: 30 }, (_, n) => ({
      date: NOON - days * DAY,
      url: `/${days}/${n}`,
      visitor: `v${n % 7}`,
    }));

  test('a database of version 1 is migrated, with the keys of its buckets counted', async () => {
    const { database, storage, writer } = await opened();
    const first = await writer();
    const journal = new TestJournal('a', storage.summaries);
    await first.apply(journal.batch(['a', 'b', 'b'].map((url) => ({ url }))));
    for (const table of ['sweeps', 'leases', 'retention', 'visitor_keys', 'key_counts']) {
      await database.query(`DROP TABLE ${database.table(table)}`);
    }
    for (const table of ['strings', 'agents', 'endpoints']) {
      await database.query(`ALTER TABLE ${database.table(table)} DROP COLUMN seen`);
    }
    await removeColumns(database, 2);
    await database.query(`UPDATE ${database.table('schema_version')} SET version = 1`);
    await expect(storage.getUsage()).rejects.toThrow(expect.objectContaining({ code: 'STORAGE_OLDER' }));
    const second = await writer({ maxKeys: maxKeysOf(3) });
    await second.apply(journal.batch(['c', 'b', 'd'].map((url) => ({ url }))));
    for (const period of PERIODS) {
      expect((await rows(storage, 'urls', period)).map(([key, hits]) => [key, hits])).toEqual([
        ['b', 3],
        [OTHERS, 1],
        ['a', 1],
        ['c', 1],
      ]);
    }
    while (await second.maintenance.sweep());
    expect(await storage.getUsage()).toHaveLength(6);
  });

  test('a database of version 2 is migrated, and further records are counted by their keys', async () => {
    const { database, storage, writer } = await opened();
    const journal = new TestJournal('a', storage.summaries);
    await (await writer()).apply(journal.batch([{ url: '/a' }]));
    await removeColumns(database, 2);
    await database.query(`UPDATE ${database.table('schema_version')} SET version = 2`);
    await expect(storage.getUsage()).rejects.toThrow(expect.objectContaining({ code: 'STORAGE_OLDER' }));
    await (await writer()).apply(journal.batch([{ url: '/a?b', urlKey: '/a' }]));
    expect((await rows(storage, 'urls')).map(([key, hits]) => [key, hits])).toEqual([['/a', 2]]);
    const { total } = await storage.query.top('urls', { filter: { urls: '/a' } });
    expect(total.hits).toBe(2);
    expect(await database.query(`SELECT url, url_key FROM ${database.records.view} ORDER BY url`)).toEqual([
      { url: '/a', url_key: null },
      { url: '/a?b', url_key: '/a' },
    ]);
  });

  test('a database of version 3 is migrated, and further records have the columns of version 4', async () => {
    const { database, storage, writer } = await opened();
    const journal = new TestJournal('a', storage.summaries);
    const known = { agent: 'An Agent/1', browser: 'Agent' };
    await (await writer()).apply(journal.batch([{ ...known, url: '/a' }]));
    await removeColumns(database, 3);
    await database.query(`UPDATE ${database.table('schema_version')} SET version = 3`);
    await expect(storage.getUsage()).rejects.toThrow(expect.objectContaining({ code: 'STORAGE_OLDER' }));
    const columns = { path: '/b', referrerHost: 'example.org', campaign: 'mail', class: 'page', received: 7 };
    await (await writer()).apply(journal.batch([{ ...known, ...columns, url: '/b?c', device: 'mobile' }]));
    const { total } = await storage.query.top('urls', { filter: { paths: '/b', devices: 'mobile' } });
    expect(total.hits).toBe(1);
    expect((await storage.query.top('urls', { filter: { paths: null } })).total.hits).toBe(1);
    const names = 'url, path, referrer_host, campaign, class, device';
    expect(await database.query(`SELECT ${names} FROM ${database.records.view} ORDER BY url`)).toEqual([
      { url: '/a', path: null, referrer_host: null, campaign: null, class: null, device: null },
      {
        ...{ url: '/b?c', path: '/b', referrer_host: 'example.org', campaign: 'mail', class: 'page' },
        device: 'mobile',
      },
    ]);
    expect((await storage.getUsage()).map(({ received }) => received)).toEqual([7, null]);
  });

  test('two writers at the same time never exceed a budget, and fill it', async () => {
    const { storage, writer } = await opened();
    const max = 60;
    const context = { maxKeys: maxKeysOf(max) };
    const writers = [await writer(context), await writer(context)];
    const journals = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
    let stored = 0;
    for (let round = 0; round < 8; round++) {
      await Promise.all(
        writers.map((each, n) => {
          // Keys of the writer, keys of both, and keys of the round.
          const urls = Array.from({ length: 10 }, (_, i) => [
            `/${n}/${round}/${i}`,
            `/${round}/${i}`,
            `/${i}`,
          ]).flat();
          stored += urls.length;
          return each.apply(journals[n]!.batch(urls.map((url) => ({ url }))));
        }),
      );
    }
    for (const period of PERIODS) {
      const found = await rows(storage, 'urls', period);
      expect(found.filter(([key]) => key !== OTHERS)).toHaveLength(max);
      expect(found.reduce((sum, [, hits]) => sum + Number(hits), 0)).toBe(stored);
    }
  });

  test('keys are admitted again if another writer fills the bucket before the batch is stored', async () => {
    const { storage, writer, late } = await opened();
    const context = { maxKeys: maxKeysOf(3) };
    const first = await writer(context);
    const [a, b] = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries)) as [
      TestJournal,
      TestJournal,
    ];
    const second = await late(context, async () => {
      await first.apply(a.batch(['a', 'b'].map((url) => ({ url }))));
    });
    expect(await second.apply(b.batch(['x', 'b', 'y', 'x'].map((url) => ({ url }))))).toBe(true);
    for (const period of PERIODS) {
      expect((await rows(storage, 'urls', period)).map(([key, hits]) => [key, hits])).toEqual([
        ['b', 2],
        ['x', 2],
        [OTHERS, 1],
        ['a', 1],
      ]);
    }
  });

  test('a batch is not delayed by pruning, however long that takes, and a killed pruning is repeated', async () => {
    const { database, storage, writer } = await opened();
    const [first, other] = [await writer(), await writer()];
    const journal = new TestJournal('a', storage.summaries);
    await first.apply(journal.batch([...daysAgo(3), ...daysAgo(2), ...daysAgo(0)]));
    const whole = await rows(storage, 'urls', 'day');
    const today = Date.UTC(2026, 10, 24);
    const hours = database.hours;
    const release = await database.lock(`SELECT hits FROM ${hours} WHERE bucket < '2026-11-22' FOR UPDATE`);
    const pruning = other.maintenance.prune({ part: 'hour', before: today, limit: 1_000 });
    const failed = expect(pruning).rejects.toThrow();
    const kill = await database.blocked();
    // It would wait for as long as the rows are locked.
    expect(await first.apply(journal.batch(daysAgo(0)))).toBe(true);
    await kill();
    await failed;
    await release();
    let deleted = 0;
    for (let rowsOfStep = -1; rowsOfStep !== 0; deleted += rowsOfStep) {
      rowsOfStep = await other.maintenance.prune({ part: 'hour', before: today, limit: 7 });
    }
    // Each hour has a key of the coverage besides those of its URLs.
    expect(deleted).toBe(2 * 31);
    expect(await rows(storage, 'urls', 'hour')).toHaveLength(30);
    const days = await rows(storage, 'urls', 'day');
    expect(days).toHaveLength(whole.length);
    expect(days.reduce((sum, [, hits]) => sum + Number(hits), 0)).toBe(4 * 30);
  });

  test('texts that are swept between their lookup and the batch are looked up again', async () => {
    const { database, storage, writer, late } = await opened();
    const { maintenance } = await writer();
    const second = await late({}, async () => {
      while (await maintenance.sweep());
    });
    const journal = new TestJournal('a', storage.summaries);
    const record: TestRecord = { url: '/a', agent: 'An Agent/1', browser: 'Agent', route: '/r' };
    expect(await second.apply(journal.batch([record]))).toBe(true);
    // The sweep has deleted what the first attempt had added.
    const [texts] = await database.query(`SELECT MIN(id) AS first FROM ${database.table('strings')}`);
    expect(Number(texts!.first)).toBeGreaterThan(1);
    expect(await storage.getUsage()).toMatchObject([
      { url: '/a', route: '/r', userAgent: { string: 'An Agent/1', browser: 'Agent' } },
    ]);
    expect((await rows(storage, 'urls')).map(([key]) => key)).toEqual(['/a']);
  });

  test('a part of a text is found in either case, until nothing refers to the text', async () => {
    const { storage, writer } = await opened();
    await checkHasText(storage, await writer());
  });

  test('dates of buckets are deleted with the last sums, and return with the next', async () => {
    const { database, storage, writer } = await opened();
    const first = await writer();
    const { maintenance } = await writer();
    const journal = new TestJournal('a', storage.summaries);
    const dates = async () => {
      const found = await database.query(`SELECT date FROM ${database.table('buckets')} ORDER BY date`);
      return found.map(({ date }) => date);
    };
    const all = ['2026-11-01T00:00:00+00:00', '2026-11-24T00:00:00+00:00', '2026-11-24T12:00:00+00:00'];
    for (let round = 0; round < 2; round++) {
      await first.apply(journal.batch([{}]));
      expect(await dates()).toEqual(all);
      for (const [part, left] of [
        ['hour', all.slice(0, 2)],
        ['day', all.slice(0, 1)],
        ['month', []],
      ] as const) {
        while ((await maintenance.prune({ part, before: NOON + DAY, limit: 1 })) > 0);
        while (await maintenance.sweep());
        expect(await dates()).toEqual(left);
      }
    }
  });
}

/** Checks that `hasText` finds a part of a text in either case, until nothing refers to the text. */
export async function checkHasText(
  { reader, summaries }: Storage,
  writer: StorageWriter & { maintenance: StorageMaintenance },
): Promise<void> {
  const has = () => Promise.all(['secret', 'others'].map((text) => reader.hasText(text)));
  expect(await has()).toEqual([false, false]);
  const journal = new TestJournal('a', summaries);
  await writer.apply(journal.batch([{ url: '/a/SECRET', date: NOON - DAY }, { url: '/others' }]));
  expect(await has()).toEqual([true, true]);
  const { maintenance } = writer;
  for (const part of ['records', 'hour', 'day'] as const) {
    while ((await maintenance.prune({ part, before: NOON - 60_000, limit: 10 })) > 0);
  }
  while (await maintenance.sweep());
  expect(await has(), 'the month has the key').toEqual([true, true]);
  while ((await maintenance.prune({ part: 'month', before: NOON, limit: 10 })) > 0);
  while (await maintenance.sweep());
  expect(await has()).toEqual([false, true]);
}

/** Columns of records, other than `received`, and of agents that version 4 added. */
const VERSION_4 = ['path', 'referrer_host', 'campaign', 'class'];

/** Removes the columns that were added after a version. */
async function removeColumns(database: ServerDatabase, version: 2 | 3): Promise<void> {
  const { query, records } = database;
  const removed = [...VERSION_4, ...(version < 3 ? ['url_key'] : [])];
  await query(`DROP VIEW ${records.view}`);
  const dropped = [...removed, 'received'].map((column) => `DROP COLUMN ${column}`);
  await query(`ALTER TABLE ${records.table} ${dropped.join(', ')}`);
  await query(`ALTER TABLE ${database.table('agents')} DROP COLUMN device`);
  const names = removed.join('|');
  const older = records.select.replace(
    new RegExp(
      `,\\s+(?:(?:${names})\\.text AS \\w+|agents\\.device|r\\.received)|LEFT JOIN \\S+ (?:${names}) ON \\S+ = \\S+`,
      'g',
    ),
    '',
  );
  await query(`CREATE VIEW ${records.view} AS ${older}`);
}
