import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import { expect, onTestFinished, test, vi } from 'vitest';
import { OutputWriter, Storage } from '../../src/index.ts';
import type { Batch, StorageReader, StorageWriter } from '../../src/storage/contract.ts';
import { startServer } from '../sinks/support.ts';

/** Creates a storage without transactions that fails for the given batches, and records all attempts. */
function unreliableStorage(fails: (batch: Batch) => boolean) {
  const attempts: { from: number; to: number; urls: string[]; hour: number; accepted: boolean }[] = [];
  const positions = new Map<string, Batch['to']>();
  const writer: StorageWriter = {
    replays: true,
    position: async (journal) => positions.get(journal),
    async apply(batch) {
      const accepted = !fails(batch);
      const urls = Array.from({ length: batch.records.length }, (_, i) => batch.records.record(i).path);
      const hour = batch.deltas[0]!.bucket;
      attempts.push({ from: batch.from.position, to: batch.to.position, urls, hour, accepted });
      if (!accepted) throw new Error('the connection was lost');
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
  return { storage, attempts };
}

test('retries a failed batch unchanged, although more was recorded since', async () => {
  let failures = 3;
  const { storage, attempts } = unreliableStorage(() => failures-- > 0);
  await using app = await startServer(storage);
  await app.request('/1');
  await app.request('/2');
  await vi.waitFor(() => expect(attempts.length).toBeGreaterThan(0), { timeout: 5_000 });
  await app.request('/3');
  await app.usage.flush();
  const [first, ...others] = attempts;
  expect(others.slice(0, 3)).toEqual([
    { ...first, accepted: false },
    { ...first, accepted: false },
    { ...first, accepted: true },
  ]);
  const stored = attempts.filter(({ accepted }) => accepted).flatMap(({ urls }) => urls);
  expect(stored).toEqual(['/1', '/2', '/3']);
});

test('retries a failed batch unchanged in the next process', async () => {
  let works = false;
  const { storage, attempts } = unreliableStorage(() => !works);
  await using app = await startServer(storage);
  await app.request('/1');
  await vi.waitFor(() => expect(attempts.length).toBeGreaterThan(0), { timeout: 5_000 });
  await app.usage.close({ timeout: 50 });
  const journal = app.usage.status().journal.directory;
  expect((await readdir(journal)).filter((name) => name.endsWith('.batch'))).toHaveLength(1);
  // The next process adopts the journal.
  works = true;
  const next = await startServer(storage, { journal: { dir: app.directory } });
  onTestFinished(() => next[Symbol.asyncDispose]());
  await vi.waitFor(() => expect(attempts.at(-1)).toEqual({ ...attempts[0], accepted: true }), {
    timeout: 10_000,
  });
});

test('adds up a failed batch again in the next process if the time zone was changed', async () => {
  let works = false;
  const { storage, attempts } = unreliableStorage(() => !works);
  await using app = await startServer(storage);
  await app.request('/1');
  await vi.waitFor(() => expect(attempts.length).toBeGreaterThan(0), { timeout: 5_000 });
  await app.usage.close({ timeout: 50 });
  works = true;
  const timeZone = 'Asia/Kolkata';
  const next = await startServer(storage, { timeZone, journal: { dir: app.directory } });
  onTestFinished(() => next[Symbol.asyncDispose]());
  await vi.waitFor(() => expect(attempts.at(-1)!.accepted).toBe(true), { timeout: 10_000 });
  const { hour, ...batch } = attempts.at(-1)!;
  expect({ ...batch, hour: attempts[0]!.hour, accepted: false }).toEqual(attempts[0]);
  // The hours of this zone begin at half past.
  expect([attempts[0]!.hour % 3_600_000, hour % 3_600_000]).toEqual([0, 1_800_000]);
  expect(next.errors).toEqual([]);
});

test.each([
  ['is truncated', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
  ['is empty', () => Buffer.alloc(0)],
  ['has a wrong byte', (bytes: Buffer) => bytes.with(-9, bytes.at(-9)! ^ 1)],
  ['is from another release', () => serialize({ records: {}, entries: 1 })],
  ['contains no value', () => serialize(undefined)],
])('reports a batch file that %s, and rebuilds the batch from the journal', async (_, damage) => {
  let works = false;
  const { storage, attempts } = unreliableStorage(() => !works);
  await using app = await startServer(storage);
  await app.request('/1');
  await vi.waitFor(() => expect(attempts.length).toBeGreaterThan(0), { timeout: 5_000 });
  await app.usage.close({ timeout: 50 });
  const journal = app.usage.status().journal.directory;
  const [name] = (await readdir(journal)).filter((file) => file.endsWith('.batch'));
  await writeFile(join(journal, name!), damage(await readFile(join(journal, name!))));
  works = true;
  const next = await startServer(storage, { journal: { dir: app.directory } });
  onTestFinished(() => next[Symbol.asyncDispose]());
  await vi.waitFor(() => expect(attempts.at(-1)).toEqual({ ...attempts[0], accepted: true }), {
    timeout: 10_000,
  });
  expect(next.errors.map(({ message }) => message)).toEqual([expect.stringContaining(name!)]);
});

test('rebuilds the same batch in the next process if its file could not be written', async () => {
  let remaining = 1;
  const { storage, attempts } = unreliableStorage(() => remaining-- <= 0);
  await using app = await startServer(storage);
  const journal = app.usage.status().journal.directory;
  const name = createHash('sha256').update('0 fickle').digest('hex').slice(0, 16);
  // Not even root can write a file over a directory.
  await mkdir(join(journal, `${name}.batch.new`));
  await app.request('/1');
  await vi.waitFor(() => expect(attempts).toHaveLength(1), { timeout: 5_000 });
  await Promise.all(['/2', '/2', '/2'].map((path) => app.request(path)));
  await vi.waitFor(() => expect(attempts.length).toBeGreaterThan(1), { timeout: 5_000 });
  await app.usage.close({ timeout: 50 });
  expect(app.errors.map((error) => (error as { code?: string }).code)).toContain('BATCH_UNWRITABLE');
  const failed = attempts.slice(1);
  expect(failed.map(({ urls }) => urls)).toEqual(failed.map(() => ['/2']));
  // The next process can write, and finds no file.
  await rmdir(join(journal, `${name}.batch.new`));
  remaining = Number.POSITIVE_INFINITY;
  const next = await startServer(storage, { journal: { dir: app.directory } });
  onTestFinished(() => next[Symbol.asyncDispose]());
  const stored = () => attempts.filter(({ accepted }) => accepted).flatMap(({ urls }) => urls);
  await vi.waitFor(() => expect(stored()).toEqual(['/1', '/2', '/2', '/2']), { timeout: 10_000 });
  expect(attempts[1 + failed.length]).toEqual({ ...failed[0], accepted: true });
});

test('a writer without positions continues where the previous process stopped', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'track-usage-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const accepted: string[] = [];
  let accepts = 2;
  const output = {
    write(text: string | Uint8Array, callback: (error?: Error) => void) {
      if (accepts-- <= 0) return callback(new Error('full'));
      accepted.push(String(text));
      callback();
    },
  };
  const writer = () => new OutputWriter({ output, transform: ({ path }) => path });
  {
    await using app = await startServer(writer(), { journal: { dir } });
    await app.request('/1');
    await app.request('/2');
    await app.usage.flush();
    await app.request('/3');
    await app.usage.close({ timeout: 50 });
  }
  accepts = 10;
  await using app = await startServer(writer(), { journal: { dir } });
  await app.request('/4');
  await vi.waitFor(() => expect([...accepted].sort()).toEqual(['/1', '/2', '/3', '/4']), { timeout: 10_000 });
});
