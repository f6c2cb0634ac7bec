import { deepStrictEqual as equal } from 'node:assert';
import { Storage } from '../query/storage.ts';
import type { SumOptions } from '../query/sums-and-records.ts';
import type { UsageRecord } from '../record.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { Batch, StorageWriter, WriterContext } from '../storage/contract.ts';
import { openStorageWriter, type RecordWriter } from '../storage/writer.ts';
import { MemoryStorage } from '../storages/memory/index.ts';
import type { Summary } from '../summaries/define.ts';
import type { Period } from '../summaries/periods.ts';
import { summariesOf } from '../summaries/standard.ts';
import { TestJournal, type TestRecord } from './batches.ts';
import { openQueryClient, type QueryClient, type QueryClientOptions } from './query-client.ts';
import type { Subject, TestLocation } from './subject.ts';

const CONTEXT: WriterContext = { site: 'default', timeZone: 'UTC', durable: false };
/** Time for which a batch is retried before the case fails, ms. A server may take long to start on a busy machine. */
const TIMEOUT_MS = 60_000;
/** Pause between two attempts, ms. */
const POLL_INTERVAL_MS = 10;

/** Resources of a case, which are closed and removed when it ends. */
export interface CaseLocation extends TestLocation {
  /** Registers a function that is called when the case ends. */
  keep<T extends { close(): Promise<unknown> }>(opened: T): T;
  /** Queries a storage of this location through every interface of the subject, page by page. */
  openClient(storage: Storage, options?: QueryClientOptions): Promise<QueryClient>;
}

/** Resources of a case that compares a storage with the one in memory. */
export interface ComparedLocation extends CaseLocation {
  tested: Storage;
  memory: Storage;
  /** Readers of both, for cases about the contract of readers. */
  readers: [tested: CompleteReader, memory: CompleteReader];
  /** Stores the records in both. @param hooks Hooks of the app that stores them. Defaults to the summaries. */
  apply(records: readonly TestRecord[], hooks?: readonly string[]): Promise<void>;
  /** Queries both: the storage page by page through every interface, the memory once. @param options As for `openClient`. */
  compare(options?: Pick<QueryClientOptions, 'now' | 'rows'>): Promise<Comparison>;
}

export interface Comparison {
  tested: QueryClient;
  /** Asserts that both return the same result, and returns it. */
  same<T>(what: string, query: (of: QueryClient) => Promise<T>): Promise<T>;
}

/** Opens the writing end of a storage in this thread, even if an app runs it in another one. */
export function openWriter(
  storage: RecordWriter,
  context: Partial<WriterContext> = {},
): Promise<StorageWriter> {
  return openStorageWriter(storage, { ...CONTEXT, ...context });
}

/** Runs a case in a separate location. Afterwards closes everything that was opened there, and removes the location. */
export async function at(subject: Subject, run: (location: CaseLocation) => Promise<void>): Promise<void> {
  const location = await subject.createLocation();
  const opened: { close(): Promise<unknown> }[] = [];
  const keep = <T extends { close(): Promise<unknown> }>(each: T): T => {
    opened.push(each);
    return each;
  };
  try {
    const storage = (...given: Parameters<TestLocation['storage']>) => keep(location.storage(...given));
    await run({
      ...location,
      storage,
      remove: () => location.remove(),
      keep,
      openClient: async (of, options) =>
        keep(
          await openQueryClient(of, {
            interfaces: subject.interfaces ?? ['library'],
            url: location.url,
            ...options,
          }),
        ),
    });
  } finally {
    for (const each of opened.reverse()) await each.close().catch(() => {});
    await location.remove();
  }
}

/** Runs a case with a storage of the subject and one in memory that has the same data. */
export function besideMemory(
  subject: Subject,
  summaries: readonly Summary[],
  run: (location: ComparedLocation) => Promise<void>,
): Promise<void> {
  return at(subject, async (location) => {
    const { keep } = location;
    const tested = location.storage(summaries);
    const memory = keep(new MemoryStorage({ hooks: summaries }));
    const writers = [keep(await openWriter(tested)), keep(await openWriter(memory))];
    const journal = new TestJournal('a', tested.summaries);
    await run({
      ...location,
      tested,
      memory,
      readers: [tested.reader, memory.reader],
      async apply(records, hooks) {
        const batch = journal.batch(shareOf(subject, records), hooks && summariesOf(hooks));
        for (const writer of writers) equal(await writer.apply(batch), true);
      },
      async compare(options = {}) {
        const client = await location.openClient(tested, options);
        // One page, so that a paged result is compared with an unpaged one.
        const wanted = keep(await openQueryClient(memory, { now: options.now, rows: 0 }));
        return {
          tested: client,
          async same(what, query) {
            const answer = await query(client);
            equal(answer, await query(wanted), what);
            return answer;
          },
        };
      },
    });
  });
}

/** Number of records up to which a case is not large. */
const LARGE = 200;

/** Returns the share of random records with which the subject is tested. */
export function shareOf<T>({ share = 1 }: Subject, records: readonly T[]): readonly T[] {
  return records.length <= LARGE ? records : records.slice(0, Math.max(LARGE, records.length * share));
}

/** Stores a batch once, with the keys for which there is room, as the writer's thread does. */
export async function put(writer: StorageWriter, batch: Batch): Promise<boolean> {
  return writer.apply(writer.admit ? await writer.admit(batch) : batch);
}

/**
 * Stores a batch as the writer's thread does: a failed attempt is repeated from the storage's position.
 * @returns Number of failed attempts.
 */
export async function store(open: () => Promise<StorageWriter>, batch: Batch): Promise<number> {
  const deadline = Date.now() + TIMEOUT_MS;
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
      if (Date.now() > deadline || writer?.refuses(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
  }
}

/** Returns the rows of a summary as `[key, hits, transfer, errors, duration]`. */
export async function rows(
  of: Storage | QueryClient,
  summary: string,
  period: Period = 'day',
  options: Omit<SumOptions, 'period'> = {},
) {
  const client = of instanceof Storage ? await openQueryClient(of) : of;
  const found = await client.sums(summary, { ...options, period });
  return found.map(({ key, hits, transfer, errors, duration }) => [key, hits, transfer, errors, duration]);
}

/** Returns all records, read by page numbers and by cursors, which must agree. */
export async function usage(client: QueryClient, options: { site?: string } = {}): Promise<UsageRecord[]> {
  const found = await client.usage(options);
  equal(await client.records(options), found);
  return found;
}
