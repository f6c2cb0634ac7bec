import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { run, temporaryDirectory } from './support.ts';

async function fill(directory: string): Promise<string> {
  const path = join(directory, 'usage.db');
  const storage = new SqliteStorage(path, { hooks: ['languages'] });
  const writer = await openWriter(storage);
  const records = [{ language: 'en', url: '=1+1' }, { date: NOON - 3_600_000 }];
  await writer.apply(new TestJournal('a', storage.summaries).batch(records));
  await writer.close();
  await storage.close();
  return path;
}

test('export and restore as NDJSON, through a file and through a pipe', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const file = join(directory.path, 'usage.ndjson');
  expect(await run(['export', '--storage', path, '--out', file])).toEqual({
    code: 0,
    out: `Created ${file}: 2 records, 10 summary rows.\n`,
    err: '',
  });
  const piped = await run(['export', '--storage', path]);
  const withoutHead = (text: string) => text.split('\n').slice(1, -2);
  expect(withoutHead(piped.out)).toEqual(withoutHead(readFileSync(file, 'utf8')));
  const copy = join(directory.path, 'copy.db');
  expect(await run(['restore', file, '--storage', copy])).toEqual({
    code: 0,
    out: 'The site "default" is restored and verified: 2 records, 10 summary rows.\n',
    err: '',
  });
  const again = await run(['export', '--storage', copy]);
  expect(withoutHead(again.out)).toEqual(withoutHead(piped.out));
  expect((await run(['restore', file, '--storage', path])).err).toMatch(
    /already has records or summaries of the site "default"; use an empty database, or another name for the site: --to-site NAME\.$/m,
  );
  expect((await run(['restore', file, '--storage', path, '--to-site', 'old'])).code).toBe(0);
  const records = await run(['export', '--storage', path, '--site', 'old', '--records']);
  expect(withoutHead(records.out).every((line) => line.startsWith('{"record":'))).toBe(true);
});

test('export as CSV', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const sums = await run(['export', '--storage', path, '--format', 'csv', '--summaries']);
  expect(sums.out.split('\r\n')).toEqual([
    'summary,period,date,key,hits,transfer,errors,duration',
    'languages,hour,2026-11-24T12:00:00+00:00,en,1,5,0,1500',
    'languages,hour,2026-11-24T11:00:00+00:00,,1,5,0,1500',
    'languages,day,2026-11-24T00:00:00+00:00,en,1,5,0,1500',
    'languages,day,2026-11-24T00:00:00+00:00,,1,5,0,1500',
    'languages,month,2026-11-01T00:00:00+00:00,en,1,5,0,1500',
    'languages,month,2026-11-01T00:00:00+00:00,,1,5,0,1500',
    '',
  ]);
  const out = join(directory.path, 'records.csv');
  const created = await run(['export', '--storage', path, '--format', 'csv', '--records', '--out', out]);
  expect(created).toEqual({ code: 0, out: `Created ${out}: 2 records.\n`, err: '' });
  const [head, first, second, end] = readFileSync(out, 'utf8').split('\r\n');
  expect(head).toMatch(/^date,site,serverName,method,url,/);
  expect(first).toMatch(/^2026-11-24T11:34:56.789\+00:00,default,default,GET,http:\/\/localhost\/,/);
  expect(second).toContain(",'=1+1,");
  expect(end).toBe('');
  const { code, err } = await run(['export', '--storage', path, '--format', 'csv']);
  expect({ code, err }).toEqual({
    code: 2,
    err: "track-usage: with '--format csv', one of the options '--records' and '--summaries' is required\n",
  });
});

test('a failed export leaves no file', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const out = join(directory.path, 'usage.ndjson');
  const missing = await run(['export', '--storage', path, '--site', 'nobody', '--out', out]);
  expect(missing).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringContaining('has no data for the site "nobody"'),
  });
  expect(existsSync(out)).toBe(false);
  const nowhere = await run(['export', '--storage', path, '--out', join(directory.path, 'none', 'x')]);
  expect(nowhere).toMatchObject({ code: 1, err: expect.stringContaining('cannot write') });
  const invalid = await run(['restore', path, '--storage', join(directory.path, 'new.db')]);
  expect(invalid).toMatchObject({
    code: 1,
    err: expect.stringContaining(`cannot restore ${path}: its first line`),
  });
});

test('backup of a database in use', async () => {
  await using directory = await temporaryDirectory();
  const path = await fill(directory.path);
  const out = join(directory.path, 'backup.db');
  const created = await run(['backup', '--storage', path, '--out', out]);
  expect(created).toMatchObject({ code: 0, out: expect.stringMatching(`^Created ${out}: [\\d.]+ kB\\.\n$`) });
  expect((await run(['verify', '--storage', out])).code).toBe(0);
  expect((await run(['backup', '--storage', path, '--out', out])).code).toBe(1);
  const other = await run(['backup', '--storage', 'mysql://user:secret@host/usage', '--out', out]);
  expect(other.code).toBe(2);
  expect(other.err).toMatch(
    /^track-usage: --storage is "mysql:\/\/…"; expected a SQLite database; for other/,
  );
});
