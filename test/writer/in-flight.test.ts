import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import { expect, onTestFinished, test, vi } from 'vitest';
import { OutputWriter, Storage } from '../../src/index.ts';
import type { Batch, StorageReader, StorageWriter } from '../../src/storage/contract.ts';
import { tracked } from '../sinks/support.ts';

/** A storage without transactions, that takes a batch or fails as it is told to. */
function fickle(fails: (batch: Batch) => boolean) {
  const given: { from: number; to: number; urls: string[]; taken: boolean }[] = [];
  const positions = new Map<string, Batch['to']>();
  const writer: StorageWriter = {
    replays: true,
    position: async (journal) => positions.get(journal),
    async apply(batch) {
      const taken = !fails(batch);
      const urls = Array.from({ length: batch.records.length }, (_, i) => batch.records.record(i).path);
      given.push({ from: batch.from.position, to: batch.to.position, urls, taken });
      if (!taken) throw new Error('the connection was lost');
      positions.set(batch.journal, batch.to);
      return true;
    },
    forget: async () => {},
    refuses: () => false,
    close: async () => {},
  };
  const storage = new Storage({
    label: 'fickle',
    identity: 'fickle',
    openWriter: async () => writer,
    openReader: async () => ({}) as StorageReader,
  });
  return { storage, given };
}

test('a batch that failed comes again unchanged, though more was recorded since', async () => {
  let failures = 3;
  const { storage, given } = fickle(() => failures-- > 0);
  await using app = await tracked(storage);
  await app.ask('/1');
  await app.ask('/2');
  await vi.waitFor(() => expect(given.length).toBeGreaterThan(0), { timeout: 5_000 });
  await app.ask('/3');
  await app.usage.flush();
  const [first, ...others] = given;
  expect(others.slice(0, 3)).toEqual([
    { ...first, taken: false },
    { ...first, taken: false },
    { ...first, taken: true },
  ]);
  const stored = given.filter(({ taken }) => taken).flatMap(({ urls }) => urls);
  expect(stored).toEqual(['/1', '/2', '/3']);
});

test('a batch that failed comes again unchanged after the thread died', async () => {
  let works = false;
  const { storage, given } = fickle(() => !works);
  await using app = await tracked(storage);
  await app.ask('/1');
  await vi.waitFor(() => expect(given.length).toBeGreaterThan(0), { timeout: 5_000 });
  await app.usage.close({ timeout: 50 });
  const journal = app.usage.status().journal.directory;
  expect((await readdir(journal)).filter((name) => name.endsWith('.batch'))).toHaveLength(1);
  // The next process, which adopts the journal.
  works = true;
  const next = await tracked(storage, { journal: { dir: app.directory } });
  onTestFinished(() => next[Symbol.asyncDispose]());
  await vi.waitFor(() => expect(given.at(-1)).toEqual({ ...given[0], taken: true }), { timeout: 10_000 });
});

test.each([
  ['is cut', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
  ['is empty', () => Buffer.alloc(0)],
  ['has a wrong byte', (bytes: Buffer) => bytes.with(-9, bytes.at(-9)! ^ 1)],
  ['is of another release', () => serialize({ records: {}, entries: 1 })],
  ['holds nothing', () => serialize(undefined)],
])('a batch whose file %s is told, and made again from the journal', async (_, damage) => {
  let works = false;
  const { storage, given } = fickle(() => !works);
  await using app = await tracked(storage);
  await app.ask('/1');
  await vi.waitFor(() => expect(given.length).toBeGreaterThan(0), { timeout: 5_000 });
  await app.usage.close({ timeout: 50 });
  const journal = app.usage.status().journal.directory;
  const [name] = (await readdir(journal)).filter((file) => file.endsWith('.batch'));
  await writeFile(join(journal, name!), damage(await readFile(join(journal, name!))));
  works = true;
  const next = await tracked(storage, { journal: { dir: app.directory } });
  onTestFinished(() => next[Symbol.asyncDispose]());
  await vi.waitFor(() => expect(given.at(-1)).toEqual({ ...given[0], taken: true }), { timeout: 10_000 });
  expect(next.errors.map(({ message }) => message)).toEqual([expect.stringContaining(name!)]);
});

test('a batch that cannot be written down is one that the next process makes again', async () => {
  let left = 1;
  const { storage, given } = fickle(() => left-- <= 0);
  await using app = await tracked(storage);
  const journal = app.usage.status().journal.directory;
  const name = createHash('sha256').update('0 fickle').digest('hex').slice(0, 16);
  // Not even root can write a file over a directory.
  await mkdir(join(journal, `${name}.batch.new`));
  await app.ask('/1');
  await vi.waitFor(() => expect(given).toHaveLength(1), { timeout: 5_000 });
  await Promise.all(['/2', '/2', '/2'].map((path) => app.ask(path)));
  await vi.waitFor(() => expect(given.length).toBeGreaterThan(1), { timeout: 5_000 });
  await app.usage.close({ timeout: 50 });
  expect(app.errors.map((error) => (error as { code?: string }).code)).toContain('BATCH_UNWRITABLE');
  const failed = given.slice(1);
  expect(failed.map(({ urls }) => urls)).toEqual(failed.map(() => ['/2']));
  // The next process can write, and finds no file.
  await rmdir(join(journal, `${name}.batch.new`));
  left = Number.POSITIVE_INFINITY;
  const next = await tracked(storage, { journal: { dir: app.directory } });
  onTestFinished(() => next[Symbol.asyncDispose]());
  const stored = () => given.filter(({ taken }) => taken).flatMap(({ urls }) => urls);
  await vi.waitFor(() => expect(stored()).toEqual(['/1', '/2', '/2', '/2']), { timeout: 10_000 });
  expect(given[1 + failed.length]).toEqual({ ...failed[0], taken: true });
});

test('a writer without positions goes on where the process before it stopped', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'track-usage-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const taken: string[] = [];
  let accepts = 2;
  const output = {
    write(text: string | Uint8Array, callback: (error?: Error) => void) {
      if (accepts-- <= 0) return callback(new Error('full'));
      taken.push(String(text));
      callback();
    },
  };
  const writer = () => new OutputWriter({ output, transform: ({ path }) => path });
  {
    await using app = await tracked(writer(), { journal: { dir } });
    await app.ask('/1');
    await app.ask('/2');
    await app.usage.flush();
    await app.ask('/3');
    await app.usage.close({ timeout: 50 });
  }
  accepts = 10;
  await using app = await tracked(writer(), { journal: { dir } });
  await app.ask('/4');
  await vi.waitFor(() => expect([...taken].sort()).toEqual(['/1', '/2', '/3', '/4']), { timeout: 10_000 });
});
