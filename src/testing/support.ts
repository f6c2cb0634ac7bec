import { deepStrictEqual as equal } from 'node:assert';
import type { Storage } from '../query/storage.ts';
import type { SumOptions } from '../query/sums-and-records.ts';
import type { UsageRecord } from '../record.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { Batch, StorageWriter, WriterContext } from '../storage/contract.ts';
import { openStorageWriter, type RecordWriter } from '../storage/writer.ts';
import { MemoryStorage } from '../storages/memory/index.ts';
import type { Summary } from '../summaries/define.ts';
import { summariesOf } from '../summaries/standard.ts';
import { TestJournal, type TestRecord } from './batches.ts';
import type { Subject, TestLocation } from './index.ts';
import { openQueryClient } from './query-client.ts';

const CONTEXT: WriterContext = { site: 'default', timeZone: 'UTC', durable: false };
/** Tries of a batch until it counts as failed; between them the connection comes back. */
const TRIES = 100;
/** In ms. */
const PAUSE = 50;

/** The writing end of a storage, opened here, wherever it runs in an app. */
export function openWriter(
  storage: RecordWriter,
  context: Partial<WriterContext> = {},
): Promise<StorageWriter> {
  return openStorageWriter(storage, { ...CONTEXT, ...context });
}

/** Runs a test at a place of its own, which is gone afterwards, and so is what was opened there. */
export async function at(
  subject: Subject,
  run: (
    place: TestLocation & { keep<T extends { close(): Promise<unknown> }>(opened: T): T },
  ) => Promise<void>,
): Promise<void> {
  const place = await subject.place();
  const opened: { close(): Promise<unknown> }[] = [];
  const keep = <T extends { close(): Promise<unknown> }>(each: T): T => {
    opened.push(each);
    return each;
  };
  try {
    const storage = (...given: Parameters<TestLocation['storage']>) => keep(place.storage(...given));
    await run({ ...place, storage, remove: () => place.remove(), keep });
  } finally {
    for (const each of opened.reverse()) await each.close().catch(() => {});
    await place.remove();
  }
}

/** Runs a test with the storage and one in memory, to which the same is written. */
export function besideMemory(
  subject: Subject,
  summaries: readonly Summary[],
  run: (both: {
    storage: Storage;
    memory: Storage;
    /** Of the storage, for the command line. */
    url: string | undefined;
    readers: [storage: CompleteReader, memory: CompleteReader];
    /** @param hooks Of the app that stores them. Defaults to the summaries. */
    apply(records: readonly TestRecord[], hooks?: readonly string[]): Promise<void>;
    keep<T extends { close(): Promise<unknown> }>(opened: T): T;
  }) => Promise<void>,
): Promise<void> {
  return at(subject, async ({ storage: open, keep, url }) => {
    const storage = open(summaries);
    const memory = keep(new MemoryStorage({ hooks: summaries }));
    const writers = [keep(await openWriter(storage)), keep(await openWriter(memory))];
    const journal = new TestJournal('a', storage.summaries);
    const apply = async (records: readonly TestRecord[], hooks?: readonly string[]) => {
      const batch = journal.batch(records, hooks && summariesOf(hooks));
      for (const writer of writers) equal(await writer.apply(batch), true);
    };
    await run({ storage, memory, url, readers: [storage.reader, memory.reader], apply, keep });
  });
}

/** Stores a batch as the writer's thread does: what fails is tried again, from where the storage says it is. */
export async function store(open: () => Promise<StorageWriter>, batch: Batch): Promise<number> {
  let failures = 0;
  for (;;) {
    let writer: StorageWriter | undefined;
    try {
      writer = await open();
      const position = (await writer.position(batch.journal))?.position ?? 0;
      if (position === batch.to.position) return failures;
      if (await writer.apply(batch)) return failures;
    } catch (error) {
      failures += 1;
      if (failures === TRIES || writer?.refuses(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}

/** The rows of a summary, short: `key hits transfer errors duration`. By pages, where no limit is given. */
export async function rows(
  storage: Storage,
  summary: string,
  period: 'hour' | 'day' | 'month' = 'day',
  options: Omit<SumOptions, 'period'> = {},
) {
  const wanted = { ...options, period };
  const found =
    options.limit === undefined
      ? await (await openQueryClient(storage)).sums(summary, wanted)
      : await storage.getSum(summary, wanted);
  return found.map(({ key, hits, transfer, errors, duration }) => [key, hits, transfer, errors, duration]);
}

/** All records, by pages that are counted and by cursors, which must agree. */
export async function usage(storage: Storage, options: { site?: string } = {}): Promise<UsageRecord[]> {
  const asked = await openQueryClient(storage);
  const found = await asked.usage(options);
  equal(await asked.records(options), found);
  return found;
}
