import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test, vi } from 'vitest';
import { DirectoryLock } from '../../src/journal/lock.ts';
import { temporaryDirectory } from './support.ts';

function take(directory: string): DirectoryLock | undefined {
  const lock = DirectoryLock.take(directory);
  onTestFinished(() => lock?.release());
  return lock;
}

/** Makes the next statement that begins with `sql` fail. */
function failNext(sql: string, error: object) {
  const { exec } = DatabaseSync.prototype;
  const spy = vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (
    this: DatabaseSync,
    text,
  ) {
    if (!text.startsWith(sql)) return exec.call(this, text);
    spy.mockRestore();
    throw Object.assign(new Error('failed'), error);
  });
  onTestFinished(() => spy.mockRestore());
}

test('a lock is held until it is released', () => {
  const directory = temporaryDirectory();
  const lock = take(directory)!;
  expect(take(directory)).toBe(undefined);
  expect(lock.renew()).toBe(true);
  expect(take(directory)).toBe(undefined);
  lock.release();
  lock.release();
  expect(take(directory)).toBeDefined();
});

test('a lock that was dropped is renewed, unless another process holds it', () => {
  const directory = temporaryDirectory();
  const lock = take(directory)!;
  // The kernel drops the lock if the process closes another descriptor of the file.
  failNext('BEGIN EXCLUSIVE', { errcode: 10 });
  expect(() => lock.renew()).toThrow('failed');
  const other = take(directory)!;
  expect(other).toBeDefined();
  expect(lock.renew()).toBe(false);
  other.release();
  expect(lock.renew()).toBe(true);
  expect(take(directory)).toBe(undefined);
});

test('a lock whose file was removed or replaced is lost', () => {
  const directory = temporaryDirectory();
  const lock = take(directory)!;
  const file = join(directory, 'lock.db');
  renameSync(file, `${file}.old`);
  writeFileSync(file, '');
  expect(lock.renew()).toBe(false);
  rmSync(file);
  expect(lock.renew()).toBe(false);
});

test('a lock of a directory that is being deleted is not taken, and other errors are thrown', () => {
  const directory = temporaryDirectory();
  failNext('PRAGMA', { code: 'ENOENT' });
  expect(take(directory)).toBe(undefined);
  failNext('PRAGMA', { errcode: 13 });
  expect(() => take(directory)).toThrow('failed');
  // Neither attempt has left the file open and locked.
  expect(take(directory)).toBeDefined();
});
