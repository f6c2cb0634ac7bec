import { join } from 'node:path';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { expect, test, vi } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { temporaryDirectory } from '../journal/support.ts';

/** Has the `nth` call of SQLite that a batch makes fail; returns how many were made. */
async function failing(nth: number, run: () => Promise<unknown>): Promise<number> {
  let calls = 0;
  const count = () => {
    if (calls++ === nth) throw Object.assign(new Error('disk I/O error'), { errcode: 10 });
  };
  const { exec } = DatabaseSync.prototype;
  const { run: runStatement, get } = StatementSync.prototype;
  const spies = [
    vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
      // To take it back is not what fails here.
      if (sql !== 'ROLLBACK') count();
      exec.call(this, sql);
    }),
    vi.spyOn(StatementSync.prototype, 'run').mockImplementation(function (this: StatementSync, ...values) {
      count();
      return runStatement.apply(this, values as never);
    }),
    vi.spyOn(StatementSync.prototype, 'get').mockImplementation(function (this: StatementSync, ...values) {
      count();
      return get.apply(this, values as never);
    }),
  ];
  try {
    await run();
  } catch {
    // It is tried again by the caller.
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return calls;
}

const recordsOf = (name: string) =>
  [0, 1].map((n) => ({
    url: `http://${name}/${n}`,
    route: `/${name}`,
    agent: `${name} agent`,
    browser: name,
    referrer: `${name} ${n}`,
  }));

/** Everything that is kept under an id, as texts. */
function contents(path: string) {
  const database = new DatabaseSync(path, { readOnly: true });
  const records = database
    .prepare('SELECT url, route, user_agent, browser, referrer FROM usage_records ORDER BY url')
    .all();
  const sums = ['urls', 'referrers', 'browsers'].map((summary) =>
    database.prepare(`SELECT key, hits FROM usage_${summary}_daily ORDER BY key`).all(),
  );
  database.close();
  return JSON.parse(JSON.stringify({ records, sums })) as unknown;
}

test('no id of a batch that failed is used again, at whichever call of SQLite it failed', async () => {
  const hooks = ['urls', 'referrers', 'browsers'];
  const directory = temporaryDirectory();
  const round = async (nth: number) => {
    const path = join(directory, `${nth}.db`);
    const storage = new SqliteStorage(path, { hooks });
    const [writer, other] = [await openWriter(storage), await openWriter(storage)];
    const [urls, ...more] = storage.summaries;
    const journal = new TestJournal('a', storage.summaries);
    // Others are faster with the summaries too, and in another order.
    const theirs = new TestJournal('b', [...more.reverse(), urls!]);
    // Ids that are remembered from before stay right.
    expect(await writer.apply(new TestJournal('c', [urls!]).batch(recordsOf('first')))).toBe(true);
    const batch = journal.batch(recordsOf('second'));
    const calls = await failing(nth, () => writer.apply(batch));
    // Another process takes the ids that have become free.
    expect(await other.apply(theirs.batch(recordsOf('theirs')))).toBe(true);
    if ((await writer.position(journal.id))?.position !== batch.to.position) {
      expect(await writer.apply(batch)).toBe(true);
    }
    await writer.close();
    await other.close();
    return { calls, contents: contents(path) };
  };
  const { calls, contents: expected } = await round(Number.POSITIVE_INFINITY);
  expect(calls).toBeGreaterThan(30);
  expect(expected).toMatchObject({ records: { length: 6 } });
  for (let nth = 0; nth < calls; nth++) expect((await round(nth)).contents, `call ${nth}`).toEqual(expected);
}, 60_000);
