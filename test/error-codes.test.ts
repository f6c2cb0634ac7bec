import fs, { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ERROR_CODES, type ErrorCode, TrackUsageError } from '../src/errors.ts';
import { OutputWriter, sumUrls, sumVisitors, TrackUsage, type TrackUsageOptions } from '../src/index.ts';
import { checkUsable } from '../src/journal/directory.ts';
import { ifPresent } from '../src/platform/files.ts';
import { Storage } from '../src/query/storage.ts';
import type { StorageWriter } from '../src/storage/contract.ts';
import { MemoryStorage } from '../src/storages/memory/index.ts';
import { migrate } from '../src/storages/postgres/schema.ts';
import type { Summary } from '../src/summaries/define.ts';
import { appendRejected } from '../src/writer/thread/reject-file.ts';
import { fieldsOf, openJournal, temporaryDirectory } from './journal/support.ts';
import { FailingFiles } from './support/failing-files.ts';

/* Error codes that no other test covers. */

/** Returns a storage with the given writer methods. */
const storageOf = (writer: Partial<StorageWriter>, hooks: readonly Summary[] = []) =>
  new Storage({
    hooks,
    label: 'test',
    identity: 'test',
    openReader: async () => ({}) as never,
    openWriter: async () => ({
      position: async () => undefined,
      apply: async () => true,
      forget: async () => {},
      refuses: () => false,
      close: async () => {},
      ...writer,
    }),
  });

/** Starts an app with a storage. Returns it with the problems that it reports. */
function appOf(storage: Storage, directory = temporaryDirectory(), options: TrackUsageOptions = {}) {
  const problems: unknown[] = [];
  const onError = (error: unknown) => void problems.push(error);
  const usage = new TrackUsage(undefined, storage, { ...options, journal: { dir: directory }, onError });
  onTestFinished(() => usage.close());
  return { usage, problems };
}

async function reported(problems: readonly unknown[]): Promise<unknown> {
  await vi.waitFor(() => expect(problems).not.toEqual([]), 10_000);
  return problems[0];
}

/** Returns the error that a call throws or rejects with. */
async function thrown(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const CASES: Partial<Record<ErrorCode, { parts: string[]; provoke(): Promise<unknown> }>> = {
  STORAGE_MISSING: {
    parts: ['this TrackUsage has no storage', 'new SqliteStorage'],
    provoke: () => thrown(() => new TrackUsage(undefined, []).getUsage()),
  },
  WRITER_SUMMARY: {
    parts: ['output cannot keep', 'sumUrls'],
    provoke: () => thrown(() => new OutputWriter({ hooks: [sumUrls] } as never)),
  },
  SUMMARY_IDLE: {
    parts: ['sumVisitors', "visitors: 'cookie'"],
    provoke: () => reported(appOf(new MemoryStorage({ hooks: [sumVisitors] })).problems),
  },
  VISITORS_UNKEYED: {
    parts: ['cannot keep the key', 'daily.secret'],
    provoke() {
      const storage = storageOf({}, [sumVisitors]);
      return reported(appOf(storage, undefined, { visitors: 'daily' }).problems);
    },
  },
  STORAGE_ENCODING: {
    parts: ['postgres://h/d', 'LATIN1', 'UTF8'],
    provoke: () =>
      thrown(() =>
        migrate({
          label: 'postgres://h/d',
          schema: '"s"',
          query: async () => [{ version: '180000', encoding: 'LATIN1', found: null }],
          script: async () => {},
        } as never),
      ),
  },
  JOURNAL_NETWORK: {
    parts: ['(NFS)', 'journal: { dir }'],
    async provoke() {
      const directory = temporaryDirectory();
      const { statfsSync } = fs;
      const files = fs as { statfsSync: unknown };
      files.statfsSync = () => ({ type: 0x6969 });
      syncBuiltinESMExports();
      try {
        return await thrown(() => checkUsable(directory));
      } finally {
        files.statfsSync = statfsSync;
        syncBuiltinESMExports();
      }
    },
  },
  JOURNAL_UNREADABLE: {
    parts: ['/journal', 'EMFILE: too many'],
    provoke: () =>
      thrown(() =>
        ifPresent('/journal', () => {
          throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
        }),
      ),
  },
  JOURNAL_UNSYNCED: {
    parts: ['EIO: injected', 'power failure'],
    async provoke() {
      const directory = temporaryDirectory();
      const isSync = (name: string) => name.startsWith('fdatasync');
      const files = new FailingFiles(
        directory,
        ({ name }) => (isSync(name) ? { errno: 'EIO', after: false } : undefined),
        { later: true },
      );
      try {
        const { journal, problems } = openJournal(directory, { mode: 'power' });
        journal.append(fieldsOf('/'));
        return await reported(problems);
      } finally {
        files.stop();
      }
    },
  },
  REJECT_FILE_UNWRITABLE: {
    parts: ['rejected.ndjson', 'EISDIR'],
    async provoke() {
      const file = join(temporaryDirectory(), 'rejected.ndjson');
      mkdirSync(file);
      return thrown(() => appendRejected(file, { storage: 'test', reason: 'no', record: {} as never }));
    },
  },
  RECORD_DISCARDED: {
    parts: ['test rejected a record: too long', 'its limit of', 'counted as rejected'],
    async provoke() {
      const refuse = async ({ records }: { records: { length: number } }) => {
        if (records.length > 0) throw new Error('too long');
        return true;
      };
      const { usage, problems } = appOf(storageOf({ apply: refuse, refuses: () => true }));
      const file = join(dirname(usage.status().journal.directory), 'rejected.ndjson');
      writeFileSync(file, '', { mode: 0o600 });
      truncateSync(file, 64 * 1024 * 1024);
      const server = http.createServer((_request, response) => void response.end());
      usage.attach(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => void server.close());
      await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)).text();
      return reported(problems);
    },
  },
  STORAGE_UNCLOSED: {
    parts: ['test was not closed cleanly: it is busy', 'check the storage'],
    async provoke() {
      const close = async () => {
        throw new Error('it is busy');
      };
      const { usage, problems } = appOf(storageOf({ close }));
      await usage.ready();
      await usage.close();
      return reported(problems);
    },
  },
};

test.each(Object.entries(CASES))(
  '%s is thrown or reported with the values in its message',
  async (code, { parts, provoke }) => {
    const error = (await provoke()) as TrackUsageError;
    expect(error).toBeInstanceOf(TrackUsageError);
    expect(error.code).toBe(code);
    expect(ERROR_CODES).toContain(code);
    // Every placeholder has a value.
    expect(error.message).not.toMatch(/\{\w+\}/);
    for (const part of parts) expect(error.message).toContain(part);
  },
  20_000,
);

test('every error code is used in the source and expected by a test', () => {
  const textOf = (directory: string) =>
    readdirSync(join(import.meta.dirname, directory), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(import.meta.dirname, directory, name), 'utf8'))
      .join('\n');
  const [source, tests] = [textOf('../src'), textOf('.')];
  const missing = (text: string, used: (code: string) => RegExp) =>
    ERROR_CODES.filter((code) => !used(code).test(text));
  // The table itself does not quote them.
  expect(missing(source, (code) => new RegExp(`'${code}'`))).toEqual([]);
  // The command line prints its message, which test/copy/flask.test.ts expects.
  const expected = tests.replace('is a collection of track-usage', 'COPY_OWN');
  expect(missing(expected, (code) => new RegExp(`\\b${code}\\b`))).toEqual([]);
});
