/** Tests that each batch is stored exactly once by an engine without transactions. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Batch, StorageWriter } from '../../src/storage/contract.ts';
import { connect } from '../../src/storages/clickhouse/driver.ts';
import { type ClickhouseClient, ClickhouseStorage } from '../../src/storages/clickhouse/index.ts';
import type { ClickhouseOptions } from '../../src/storages/clickhouse/options.ts';
import { NOON, TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { type ClickhouseServer, clickhouseServer } from '../support/servers/clickhouse.ts';

const DATABASE = 'track_usage_once';
let clickhouse: ClickhouseServer;
let storage: ClickhouseStorage;
let client: ClickhouseClient;
/** Number of inserts before the one whose response is lost. Later inserts do not reach the server. */
let insertsUntilLoss: number;

beforeAll(async () => {
  clickhouse = await clickhouseServer(process.env.TEST_CLICKHOUSE_URL);
});
afterAll(() => clickhouse?.close());

/** Opens a writer whose process dies at an insert. */
async function writerDyingAt(at: number): Promise<StorageWriter> {
  insertsUntilLoss = at;
  const exec: ClickhouseClient['exec'] = async (params) => {
    if (insertsUntilLoss < 0) throw new Error('dead');
    const response = await client.exec(params);
    for await (const _ of response.stream);
    if (insertsUntilLoss-- === 0) throw new Error('lost');
    return response;
  };
  const broken = new ClickhouseStorage(
    { query: client.query.bind(client), command: client.command.bind(client), close: async () => {}, exec },
    { database: DATABASE },
  );
  return openWriter(broken);
}

/** Applies the batch as the next process does. */
async function applyAgain(batch: Batch): Promise<void> {
  const writer = await openWriter(storage);
  await writer.apply(batch);
  await writer.close();
}

/** Stores batches of other journals until the deduplication window has passed. */
async function passWindow(): Promise<void> {
  const writer = await openWriter(storage);
  for (const id of ['c', 'd', 'e']) {
    await writer.apply(new TestJournal(id, storage.summaries).batch([{ url: id }]));
  }
  await writer.close();
}

async function setWindow(size: number): Promise<void> {
  for (const table of ['usage_records', 'usage_sums']) {
    await clickhouse.sql(
      `ALTER TABLE ${DATABASE}.${table} MODIFY SETTING non_replicated_deduplication_window = ${size}`,
    );
  }
}

/** Returns the number of stored records of journal `a`, and the hits of its URLs. */
async function stored(): Promise<[records: number, hits: number]> {
  const records = (await storage.getUsage({ limit: 0 })).filter(({ url }) => url.startsWith('a'));
  const hits = (await rows(storage, 'urls', 'month')).filter(([key]) => String(key).startsWith('a'));
  return [records.length, hits.reduce((sum, [, more]) => sum + (more as number), 0)];
}

describe('a repeated batch is stored once', () => {
  beforeAll(async () => {
    client = await connect(
      new ClickhouseStorage(clickhouse.url(DATABASE)).threadOptions() as ClickhouseOptions,
    );
  });
  afterAll(() => client?.close());

  async function prepared(records: readonly TestRecord[] = [{ url: 'a1' }, { url: 'a2' }, { url: 'a1' }]) {
    await clickhouse.sql(`DROP DATABASE IF EXISTS ${DATABASE} SYNC`);
    storage = new ClickhouseStorage(clickhouse.url(DATABASE), { hooks: ['urls'] });
    const journal = new TestJournal('a', storage.summaries);
    const writer = await openWriter(storage);
    await writer.apply(journal.batch([{ url: 'a0' }]));
    await writer.close();
    return journal.batch(records);
  }

  test.each([
    ['the records', 0],
    ['the sums', 1],
  ])('if the server had stored %s', async (_, insert) => {
    const batch = await prepared();
    await expect((await writerDyingAt(insert)).apply(batch)).rejects.toThrow('lost');
    await applyAgain(batch);
    expect(await stored()).toEqual([4, 4]);
    expect(await stored()).toEqual([4, 4]);
  });

  test.each([
    ['the records', 0],
    ['the sums', 1],
  ])('if the server had stored %s and no longer knows the tokens', async (_, insert) => {
    const batch = await prepared();
    await setWindow(2);
    await expect((await writerDyingAt(insert)).apply(batch)).rejects.toThrow('lost');
    await passWindow();
    await applyAgain(batch);
    await applyAgain(batch);
    expect(await stored()).toEqual([4, 4]);
  });

  test('if two writers insert it at the same time', async () => {
    const batch = await prepared();
    const writers = await Promise.all([openWriter(storage), openWriter(storage)]);
    await Promise.all(writers.map((writer) => writer.apply(batch)));
    for (const writer of writers) await writer.close();
    expect(await stored()).toEqual([4, 4]);
  });

  test('if only its records of one of two months had been stored', async () => {
    const batch = await prepared([
      { url: 'a1' },
      { url: 'a2', date: NOON - 30 * 24 * 3_600_000 },
      { url: 'a3' },
    ]);
    await expect((await writerDyingAt(0)).apply(batch)).rejects.toThrow('lost');
    await clickhouse.sql(`ALTER TABLE ${DATABASE}.usage_records DROP PARTITION 202610`);
    await applyAgain(batch);
    expect(await stored()).toEqual([4, 4]);
  });

  test('if the server had stored its tokens but no rows', async () => {
    const batch = await prepared();
    await expect((await writerDyingAt(1)).apply(batch)).rejects.toThrow('lost');
    // Mutations keep the tokens, as does a crash between storing the tokens and the rows.
    const settings = 'SETTINGS mutations_sync = 1';
    await clickhouse.sql(
      `ALTER TABLE ${DATABASE}.usage_records DELETE WHERE url LIKE 'a%' AND url != 'a0' ${settings}`,
    );
    await clickhouse.sql(
      `ALTER TABLE ${DATABASE}.usage_sums DELETE WHERE key IN ('a1', 'a2') OR position = ${batch.to.position} ${settings}`,
    );
    await clickhouse.sql(
      `INSERT INTO ${DATABASE}.usage_sums (site, summary, period, bucket, absent, key, hits, position, ordinal)
       VALUES ('default', '', 'journal', 0, 0, '${batch.journal}', 1, ${batch.from.position}, ${batch.from.ordinal})`,
    );
    expect(await stored()).toEqual([1, 1]);
    await applyAgain(batch);
    expect(await stored()).toEqual([4, 4]);
  });
});

describe('a batch', () => {
  test('with a million rows is one part, so it is stored completely or not at all', async () => {
    await clickhouse.sql(`DROP DATABASE IF EXISTS ${DATABASE} SYNC`);
    storage = new ClickhouseStorage(clickhouse.url(DATABASE), { hooks: ['urls', 'remotes'] });
    const writer = await openWriter(storage);
    const journal = new TestJournal('a', storage.summaries);
    const records = Array.from({ length: 200_000 }, (_, n) => ({ url: `a${n}`, remoteAddr: `${n}` }));
    await writer.apply(journal.batch(records));
    await writer.close();
    const parts = await clickhouse.sql(
      `SELECT table, max(rows), count() FROM system.parts
       WHERE database = '${DATABASE}' AND level = 0 AND table != 'usage_sites' GROUP BY table ORDER BY table`,
    );
    expect(parts).toBe('usage_records\t200000\t1\nusage_sums\t1200004\t1\n');
  });

  test('with a date out of range is refused before anything is sent', async () => {
    const writer = await openWriter(storage);
    const refused = await writer
      .apply(new TestJournal('b', storage.summaries).batch([{ date: Date.UTC(2200, 0) }]))
      .catch((error) => error);
    expect(refused.message).toBe('the date 7258118400000 is not between 1970 and 2106');
    expect(writer.refuses(refused)).toBe(true);
    expect(writer.refuses(new Error('down'))).toBe(false);
    expect(await writer.position('b'.padEnd(32, '0'))).toBeUndefined();
    await writer.close();
  });
});
