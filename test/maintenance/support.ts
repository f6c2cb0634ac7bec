import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Storage } from '../../src/query/storage.ts';
import { type DeltaRow, deltasOf } from '../../src/storage/batch-rows.ts';
import type { Measures, StorageWriter, WriterContext } from '../../src/storage/contract.ts';
import { RecordBatch } from '../../src/storage/index.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import type { Summary } from '../../src/summaries/define.ts';
import { calendar, PERIODS, type Period } from '../../src/summaries/periods.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';

export interface Filled {
  storage: Storage;
  writer: StorageWriter;
  /** Stores more records. @param summaries Summaries that count them. Defaults to those of the storage. */
  apply(records: readonly TestRecord[], summaries?: readonly Summary[]): Promise<void>;
}

/** Stores records as an app does. Everything is closed at the end of the test. */
export async function storageWith(
  hooks: readonly Summary[],
  records: readonly TestRecord[],
  { timeZone = 'UTC', storage = new MemoryStorage({ hooks }) }: { timeZone?: string; storage?: Storage } = {},
): Promise<Filled> {
  const writer = await openWriter(storage, { timeZone });
  onTestFinished(async () => {
    await writer.close();
    await storage.close();
  });
  const journal = new TestJournal('a', hooks, timeZone);
  const apply: Filled['apply'] = async (more, summaries) => {
    await writer.apply(journal.batch(more, summaries));
  };
  if (records.length > 0) await apply(records);
  return { storage, writer, apply };
}

/** Returns a storage in a new file, which is removed at the end of the test. */
export function sqlite(hooks: readonly Summary[]): SqliteStorage {
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-maintenance-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return new SqliteStorage(join(directory, 'usage.db'), { hooks });
}

/** Returns a storage whose writing end is changed. */
export function wrapped(storage: Storage, change: (writer: StorageWriter) => StorageWriter): Storage {
  const openOriginal = storage.openWriter!;
  return Object.create(storage, {
    openWriter: { value: async (context: WriterContext) => change(await openOriginal(context)) },
  }) as Storage;
}

/** Returns all sums of these summaries and of the coverage. */
export async function sumsOf(storage: Storage, summaries: readonly Summary[]) {
  const found: unknown[] = [];
  for (const { name } of [...summaries, { name: 'coverage' }]) {
    for (const period of PERIODS) {
      const all = { site: 'default', from: -1e15, to: 1e15, target: undefined, limit: 0, offset: 0 };
      found.push(name, period, await storage.reader.sums({ summary: name, period, ...all }));
    }
  }
  return found;
}

let corrections = 0;

/** Changes stored sums of the bucket that contains an instant, in UTC. A number stands for hits. */
export async function change(
  writer: StorageWriter,
  summary: string,
  period: Period,
  ms: number,
  keys: Readonly<Record<string, number | Measures>>,
): Promise<void> {
  const bucket = calendar('UTC').bucketOf(period, ms);
  const changes = Object.entries(keys).map(([text, by]): DeltaRow => {
    const measures = typeof by === 'number' ? { hits: by, transfer: 0, errors: 0, duration: 0 } : by;
    return { summary, period, bucket, key: text === 'null' ? null : text, ...measures };
  });
  const records = new RecordBatch(1);
  corrections += 1;
  await writer.apply({
    journal: corrections.toString(16).padStart(32, 'c'),
    from: { position: 0, ordinal: 0 },
    to: { position: 1, ordinal: 0 },
    records,
    deltas: deltasOf(records, changes),
  });
}
