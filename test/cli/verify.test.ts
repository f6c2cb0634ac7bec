import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { withCompanions } from '../../src/summaries/latency.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { lines, run, temporaryDirectory } from './support.ts';

/** Stores two requests in `usage.db`. */
async function fill(directory: string): Promise<string> {
  const path = join(directory, 'usage.db');
  const storage = new SqliteStorage(path, { hooks: ['urls', 'languages'] });
  const writer = await openWriter(storage);
  await writer.apply(new TestJournal('a', storage.summaries).batch([{ language: 'en' }, { url: 'b' }]));
  await writer.close();
  await storage.close();
  return path;
}

function damage(path: string): void {
  const database = new DatabaseSync(path);
  database.exec("UPDATE daily SET hits = hits + 3 WHERE key = (SELECT id FROM strings WHERE text = 'b')");
  database.close();
}

test('verify lists the differences as a table and as JSON', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  expect(await run(['verify', '--storage', path])).toEqual({
    code: 0,
    out: 'No differences in 9 buckets of summaries.\n',
    err: '',
  });
  damage(path);
  const { code, out, err } = await run(['verify', '--storage', path]);
  expect(code).toBe(1);
  expect(out).toBe(lines`
    Period  Date        Summary  Measure  Stored  Records  Key
    day     2026-11-24  urls     Hits          4        1  b
  `);
  expect(err).toBe(
    '1 difference between the summaries and the records. To repair it, run track-usage rebuild with the same options.\n',
  );
  const json = await run(['verify', '--storage', path, '--summary', 'urls', 'languages', '--json']);
  expect(JSON.parse(json.out)).toMatchObject({ count: 1, differences: [{ key: 'b' }], site: 'default' });
  const other = await run(['verify', '--storage', path, '--summary', 'languages']);
  expect(other.code).toBe(0);
  const range = await run(['verify', '--storage', path, '--to', '2026-11-23']);
  expect(range.out).toBe('No differences in 3 buckets of summaries.\n');
});

test('verify and rebuild name what they cannot compare', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  expect(await run(['verify', '--storage', path, '--site', 'shop'])).toEqual({
    code: 1,
    out: '',
    err: `track-usage: sqlite:${path} has no data for the site "shop"; check the storage, and pass the name of the site that the app uses.\n`,
  });
  for (const command of ['verify', 'rebuild']) {
    expect(await run([command, '--storage', join(directory.path, 'none.db')])).toMatchObject({
      code: 1,
      out: '',
    });
    expect((await run([command, '--storage', path, '--summary', 'ruls'])).code).toBe(2);
    const options = ['--summary', 'urls', '--module', './hosts.js'];
    expect(await run([command, '--storage', path, ...options])).toMatchObject({
      code: 2,
      err: 'track-usage: --summary is "urls"; expected one custom summary, because --module is given.\n',
    });
  }
});

test('rebuild repairs the summaries, and fills new ones', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  expect((await run(['rebuild', '--storage', path])).out).toBe(
    'Nothing to rebuild: the summaries match the records.\n',
  );
  damage(path);
  expect(await run(['rebuild', '--storage', path])).toEqual({
    code: 0,
    out: 'Rebuilt: 1 bucket, with 1 changed key.\n',
    err: '',
  });
  const some = await run(['rebuild', '--storage', path, '--summary', 'status']);
  expect(some.out).toContain('Added to summaries: 6 hits (hours, days and months combined).\n');
  const names = STANDARD_SUMMARIES.map(({ name }) => name);
  const all = withCompanions(STANDARD_SUMMARIES).length;
  const filled = await run(['rebuild', '--storage', path, '--summary', ...names, '--json']);
  expect(JSON.parse(filled.out)).toMatchObject({ filled: 3 * 2 * (all - 3), refused: [] });
  const verified = await run(['verify', '--storage', path]);
  expect(verified.out).toBe(`No differences in ${3 * (all + 1)} buckets of summaries.\n`);
});

test('rebuild refuses buckets from which records are missing', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const database = new DatabaseSync(path);
  database.exec('DELETE FROM records WHERE rowid = (SELECT min(rowid) FROM records)');
  database.close();
  const { code, out, err } = await run(['rebuild', '--storage', path]);
  expect(code).toBe(1);
  expect(out).toBe(lines`
    Nothing was rebuilt.
    The hour 2026-11-24 12:00 has 1 record, but 2 requests in its summaries.
    The day 2026-11-24 has 1 record, but 2 requests in its summaries.
    The month 2026-11 has 1 record, but 2 requests in its summaries.
  `);
  expect(err).toBe(
    'Records are missing from these buckets, which were left unchanged. To reduce their sums to the records that are left, add --force.\n',
  );
  expect((await run(['rebuild', '--storage', path, '--force'])).code).toBe(0);
  expect((await run(['verify', '--storage', path])).code).toBe(0);
});

test('rebuild changes the time zone', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const zone = ['--time-zone', 'Asia/Kolkata'];
  expect(await run(['rebuild', '--storage', path, ...zone])).toEqual({
    code: 0,
    out: 'Time zone changed to Asia/Kolkata.\nRebuilt: 9 buckets, with 15 changed keys.\n',
    err: '',
  });
  const storage = new SqliteStorage(path);
  const [row] = await storage.getSum('urls', { period: 'hour' });
  await storage.close();
  expect(row!.date).toBe('2026-11-24T18:00:00+05:30');
  expect((await run(['rebuild', '--storage', path, ...zone])).out).toBe(
    'Nothing to rebuild: the summaries match the records.\n',
  );
  const refused = await run(['rebuild', '--storage', path, '--time-zone', 'UTC', '--from', '2026-11-01']);
  expect(refused.code).toBe(2);
  expect(refused.err).toContain('change of the time zone');
});
