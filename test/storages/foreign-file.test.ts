import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { openWriter } from '../../src/testing/support.ts';
import { temporaryDirectory } from '../journal/support.ts';

/** Runs SQL in the file, which is created if it does not exist. */
function run(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

const FILES: [what: string, code: string, make: (path: string) => unknown][] = [
  ['a text file', 'STORAGE_FOREIGN', (path) => writeFileSync(path, 'Text of another program.\n'.repeat(100))],
  ['a short text file', 'STORAGE_FOREIGN', (path) => writeFileSync(path, 'x\n')],
  ['another database', 'STORAGE_FOREIGN', (path) => run(path, 'CREATE TABLE things (id INTEGER)')],
  ['another database without tables', 'STORAGE_FOREIGN', (path) => run(path, 'PRAGMA user_version = 7')],
  [
    'a database of a newer release',
    'STORAGE_NEWER',
    async (path) => {
      const writer = await openWriter(new SqliteStorage(path));
      await writer.close();
      run(path, 'PRAGMA journal_mode = DELETE; PRAGMA user_version = 999');
    },
  ],
];

test.each(FILES)('refuses %s, and does not change a byte of it', async (_what, code, make) => {
  const directory = join(temporaryDirectory(), 'data');
  mkdirSync(directory);
  const path = join(directory, 'usage.db');
  await make(path);
  const before = readFileSync(path);
  await expect(openWriter(new SqliteStorage(path))).rejects.toMatchObject({
    code,
    message: expect.stringContaining(path),
  });
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(directory)).toEqual(['usage.db']);
});
