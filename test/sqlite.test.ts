import { DatabaseSync } from 'node:sqlite';
import { expect, test, vi } from 'vitest';
import { afterUndo, closeDatabase, rollBack, settle } from '../src/platform/sqlite.ts';

function open(): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  database.exec('CREATE TABLE t (n)');
  return database;
}

const failure = () => Object.assign(new Error('out of memory'), { code: 'ERR_SQLITE_ERROR', errcode: 7 });

/** Makes the next call of a method fail. */
function failNext(database: DatabaseSync, method: 'exec' | 'close') {
  return vi.spyOn(database, method).mockImplementationOnce(() => {
    throw failure();
  });
}

test('rolls back and closes nothing if there is no transaction or the database is closed', () => {
  const database = open();
  rollBack(database);
  closeDatabase(database);
  closeDatabase(database);
  rollBack(database);
});

test('throws other errors', () => {
  const database = open();
  database.exec('BEGIN; INSERT INTO t VALUES (1)');
  failNext(database, 'exec');
  expect(() => rollBack(database)).toThrow('out of memory');
  failNext(database, 'close');
  expect(() => closeDatabase(database)).toThrow('out of memory');
  closeDatabase(database);
});

test('ends a transaction whose rollback failed before reading', () => {
  const database = open();
  const count = () => database.prepare('SELECT count(*) AS n FROM t').get();
  database.exec('BEGIN; INSERT INTO t VALUES (1)');
  failNext(database, 'exec');
  expect(() => rollBack(database)).toThrow('out of memory');
  expect(count()).toEqual({ n: 1 });
  failNext(database, 'exec');
  expect(() => settle(database)).toThrow('out of memory');
  settle(database);
  expect(count()).toEqual({ n: 0 });
  // A transaction started by other code is not ended.
  database.exec('BEGIN; INSERT INTO t VALUES (1)');
  settle(database);
  database.exec('COMMIT');
  expect(count()).toEqual({ n: 1 });
});

test('adds an error during cleanup to the original error', () => {
  const first = new Error('disk I/O error');
  expect(afterUndo(first, () => {})).toBe(first);
  const both = afterUndo(first, () => {
    throw failure();
  });
  expect(both).toMatchObject({
    message: 'disk I/O error; then cleaning up failed: out of memory',
    cause: first,
    errors: [first, { errcode: 7 }],
  });
});
