import { expect, test } from 'vitest';
import type { TrackUsageError } from '../../src/index.ts';
import type { Storage } from '../../src/query/storage.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { eventually, startServer } from '../sinks/support.ts';

/** A database that can be dropped while an app writes to it. */
export interface DroppableDatabase {
  storage(hooks: string[]): Storage;
  /** Drops the database, as an operator who starts over does. */
  drop(): Promise<unknown>;
  remove(): Promise<unknown>;
}

/**
 * Registers tests of a database that is dropped while an app writes to it.
 * @param isKept The app stores the records of its journal again; otherwise, stored records are lost.
 */
export function replacedCases(openDatabase: () => Promise<DroppableDatabase>, isKept: boolean): void {
  async function start(other?: { site: string }) {
    const { storage: open, drop, remove } = await openDatabase();
    const storage = open(['urls', 'status']);
    const app = await startServer(storage, other);
    let requested = 0;
    const status = () => app.usage.status().storages[0]!;
    return {
      ...app,
      open,
      drop,
      status,
      async request(count: number) {
        for (let n = 0; n < count; n++) await app.request(`/${requested++}`);
      },
      requested: () => requested,
      /** Expects each committed record to be stored once, under the correct keys. */
      async expectExact(lost: number) {
        await app.usage.flush();
        expect(status()).toMatchObject({ ok: true, lost, committed: requested - lost });
        const last = Array.from({ length: requested - lost }, (_, n) => `/${lost + n}`).sort();
        const paths = (keys: (string | null)[]) => keys.map((key) => new URL(key!).pathname).sort();
        const records = await app.usage.getUsage({ limit: 0 });
        expect(paths(records.map(({ url }) => url))).toEqual(last);
        const sums = await app.usage.getSum('urls', { period: 'day', limit: 0 });
        expect(paths(sums.map(({ key }) => key))).toEqual(last);
        expect(sums.every(({ hits }) => hits === 1)).toBe(true);
        expect(await app.usage.getSum('status', { period: 'day' })).toMatchObject([
          { key: '200', hits: requested - lost },
        ]);
      },
      reported: () =>
        (app.errors as TrackUsageError[])
          .filter(({ code }) => code === 'STORAGE_REPLACED')
          .map(({ message }) => Number(/lost with it: (\d+)/.exec(message)?.[1])),
      async [Symbol.asyncDispose]() {
        await app[Symbol.asyncDispose]();
        await storage.close();
        await remove();
      },
    };
  }

  test('a database dropped while the app runs is created again, and lost records are counted', async () => {
    await using app = await start();
    await app.request(20);
    await app.expectExact(0);
    await app.drop();
    await app.request(10);
    await app.expectExact(isKept ? 0 : 20);
    expect(app.reported()).toEqual([isKept ? 0 : 20]);
  });

  test('a database recreated by another process receives the correct site and keys', async () => {
    await using app = await start();
    await app.request(10);
    await app.expectExact(0);
    await app.drop();
    // Another site comes first, so that the IDs of sites, texts and summaries differ.
    const other = app.open(['status', 'urls', 'referrers']);
    const writer = await openWriter(other, { site: 'other' });
    const journal = new TestJournal('b', other.summaries, 'UTC', 'other');
    await writer.apply(
      journal.batch(Array.from({ length: 30 }, (_, n) => ({ url: `http://other/${n}`, referrer: `${n}` }))),
    );
    await app.request(10);
    await app.expectExact(isKept ? 0 : 10);
    expect(app.reported()).toEqual([isKept ? 0 : 10]);
    const theirs = await other.getSum('urls', {
      period: 'day',
      limit: 0,
      site: 'other',
      from: '2026-11-01',
      to: '2026-11-30',
    });
    expect(theirs.map(({ key }) => key).sort()).toEqual(
      Array.from({ length: 30 }, (_, n) => `http://other/${n}`).sort(),
    );
    await writer.close();
    await other.close();
  });

  test('a database dropped before the first record is created again', async () => {
    await using app = await start();
    await app.usage.ready();
    await app.drop();
    const other = app.open(['status']);
    await (await openWriter(other, { site: 'other' })).close();
    await other.close();
    await app.request(5);
    await app.expectExact(0);
  });

  test('a database dropped repeatedly under load stores or counts every record as lost', async () => {
    await using app = await start();
    for (let round = 0; round < 3; round++) {
      const requests = app.request(150);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 900));
      await app.drop();
      await requests;
    }
    // The last drop may have gone unnoticed until there is something to store.
    await app.request(1);
    await eventually(() => expect(app.status().lag.records).toBe(0));
    await app.usage.flush();
    const { committed, lost } = app.status();
    expect(committed + lost).toBe(app.requested());
    await app.expectExact(lost);
  }, 60_000);
}
