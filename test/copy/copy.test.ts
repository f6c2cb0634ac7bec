import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import { defineSummary } from '../../src/index.ts';
import type { Storage } from '../../src/query/storage.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { HOSTILE_TEXTS } from '../../src/testing/hostile.ts';
import { Random } from '../../src/testing/random.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { run } from '../cli/support.ts';
import { derivedColumns } from './support.ts';

const plans = defineSummary({ name: 'plans', key: () => null });
const HOOKS = [...STANDARD_SUMMARIES, plans];

let directory = '';
const opened: Storage[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
});
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close();
  await rm(directory, { recursive: true, force: true });
});

const sqlite = (name: string) => {
  const storage = new SqliteStorage(join(directory, name), { hooks: HOOKS });
  opened.push(storage);
  return storage;
};

/** Stores records as an app in another time zone does. */
async function fill(storage: Storage, count: number, site = 'shop') {
  const timeZone = 'Asia/Kathmandu';
  const writer = await openWriter(storage, { site, timeZone });
  const journal = new TestJournal('a', HOOKS, timeZone, site);
  const random = new Random(7);
  const records = Array.from({ length: count }, (_, n) => ({
    ...random.record(),
    urlKey: n % 4 === 0 ? `/key/${n % 8}` : null,
    ...derivedColumns(n),
    extra: { vars: { n }, ...(n % 3 === 0 && { keys: { plans: ['gold', `plan ${n % 5}`] } }) },
  }));
  for (let n = 0; n < count; n += 5_000) await writer.apply(journal.batch(records.slice(n, n + 5_000)));
  await writer.apply(
    journal.batch(HOSTILE_TEXTS.map((text, n) => ({ url: text, agent: text, date: NOON + n }))),
  );
  await writer.close();
  return count + HOSTILE_TEXTS.length;
}

describe('copy', () => {
  test('copies records, and standard and custom summaries', async () => {
    const [from, to] = [sqlite('a.db'), sqlite('b.db')];
    const count = await fill(from, 12_000);
    const steps = new Set<string>();
    const result = await copy({ from, to, site: 'shop', onProgress: ({ step }) => steps.add(step) });
    expect(result.records).toBe(count);
    expect([...steps]).toEqual(['records', 'sums', 'verify']);
    for (const name of ['urls', 'plans', 'referrers']) {
      expect(await rows(to, name, 'month', { site: 'shop' })).toEqual(
        await rows(from, name, 'month', { site: 'shop' }),
      );
    }
    const usage = { site: 'shop', limit: 300 };
    expect(await to.getUsage(usage)).toEqual(await from.getUsage(usage));
    expect(await to.reader.timeZone('shop')).toBe('Asia/Kathmandu');
    // A second run finds that everything is copied.
    expect(await copy({ from, to, site: 'shop' })).toEqual(result);
  });

  test('continues where it was interrupted', async () => {
    const [from, to] = [sqlite('a.db'), sqlite('b.db')];
    const count = await fill(from, 25_000);
    for (const stopAt of ['records 10000', 'records 20000', 'sums 30000', 'sums 60000']) {
      const stop = new Error('interrupted');
      const interrupted = copy({
        from,
        to,
        site: 'shop',
        onProgress: ({ step, rows: done }) => {
          const [stopStep, minimum] = stopAt.split(' ');
          if (step === stopStep && done >= Number(minimum)) throw stop;
        },
      });
      await expect(interrupted).rejects.toBe(stop);
    }
    expect((await copy({ from, to, site: 'shop' })).records).toBe(count);
  });

  test('copies to another engine and site name', async () => {
    const from = sqlite('a.db');
    const to = new MemoryStorage({ hooks: HOOKS });
    const count = await fill(from, 500);
    expect((await copy({ from, to, site: 'shop', toSite: 'old-shop' })).records).toBe(count);
    const [one] = await to.getUsage({ site: 'old-shop', limit: 1 });
    expect(one?.site).toBe('old-shop');
    expect(await to.getUsage({ site: 'shop' })).toEqual([]);
    const back = sqlite('back.db');
    expect((await copy({ from: to, to: back, site: 'old-shop', toSite: 'shop' })).records).toBe(count);
  });

  test('refuses a target with other data', async () => {
    const [from, to] = [sqlite('a.db'), sqlite('b.db')];
    await fill(from, 10);
    await fill(to, 10);
    await expect(copy({ from, to, site: 'shop' })).rejects.toMatchObject({ code: 'COPY_TARGET' });
    await expect(copy({ from, to, site: 'shop', toSite: 'other' })).resolves.toMatchObject({
      records: 10 + HOSTILE_TEXTS.length,
    });
    await expect(copy({ from, to, site: 'nothing' })).rejects.toMatchObject({ code: 'COPY_EMPTY' });
    await expect(copy({ from: sqlite('none.db'), to, site: 'shop' })).rejects.toMatchObject({
      code: 'COPY_EMPTY',
    });
  });

  test('reports a source with fewer records than were copied before', async () => {
    const [from, to] = [sqlite('a.db'), sqlite('b.db')];
    const count = await fill(from, 10);
    await copy({ from, to, site: 'shop' });
    using database = new DatabaseSync(join(directory, 'a.db'));
    database.exec('DELETE FROM records WHERE rowid IN (SELECT rowid FROM records LIMIT 3)');
    await expect(copy({ from, to, site: 'shop' })).rejects.toMatchObject({
      code: 'COPY_SHRUNK',
      message: expect.stringContaining(
        `a.db has fewer records than were already copied: ${count - 3} instead of ${count}; the copied records are kept`,
      ),
    });
  });

  test('reports a target without the keys of URLs', async () => {
    const [from, to] = [sqlite('a.db'), sqlite('b.db')];
    await fill(from, 10);
    await copy({ from, to, site: 'shop' });
    using database = new DatabaseSync(join(directory, 'b.db'));
    database.exec('UPDATE records SET url_key = NULL');
    await expect(copy({ from, to, site: 'shop' })).rejects.toMatchObject({ code: 'COPY_DIFFERS' });
  });

  test('reports a target changed by another writer', async () => {
    const [from, to] = [sqlite('a.db'), sqlite('b.db')];
    await fill(from, 10);
    await copy({ from, to, site: 'shop' });
    const writer = await openWriter(to, { site: 'shop', timeZone: 'Asia/Kathmandu' });
    await writer.apply(new TestJournal('x', HOOKS, 'Asia/Kathmandu', 'shop').batch([{}]));
    await writer.close();
    await expect(copy({ from, to, site: 'shop' })).rejects.toMatchObject({
      code: 'COPY_DIFFERS',
      message: expect.stringContaining('the number of records is'),
    });
  });
});

describe('track-usage copy', () => {
  test('reports its result', async () => {
    const from = sqlite('a.db');
    const count = await fill(from, 100, 'default');
    const url = (name: string) => `sqlite:${join(directory, name)}`;
    const { code, out, err } = await run(['copy', '--from', url('a.db'), '--to', url('b.db')]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(
      new RegExp(`^The copy is complete and verified: ${count} records, [\\d,]+ summary rows\\.\n$`),
    );
    expect(await run(['copy', '--from', url('none.db'), '--to', url('b.db')])).toMatchObject({ code: 1 });
    expect(await run(['copy', '--from', url('a.db')])).toMatchObject({ code: 2 });
  });
});
