import type { UsageRecord } from '../record.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { StorageReader } from '../storage/contract.ts';
import { lazyReader } from '../storage/lazy-reader.ts';
import { threadReader } from '../storage/reader-thread.ts';
import { RecordWriter, type WriterDescription } from '../storage/writer.ts';
import type { Summary } from '../summaries/define.ts';
import { UsageQuery } from './query.ts';
import {
  getSum,
  getUsage,
  type SumOptions,
  type SumResult,
  summaryName,
  type UsageOptions,
} from './sums-and-records.ts';

/**
 * Describes a storage: a module whose `openWriter` and `openReader` run in threads, or two such functions
 * that run in the app's thread.
 */
export type StorageDescription = WriterDescription &
  (
    | {
        /** URL of the module whose `openWriter` and `openReader` are used: see `StorageModule`. */
        module: string;
      }
    | {
        /** Opens the reading end, in the app's thread. */
        openReader(): Promise<StorageReader>;
      }
  );

/**
 * Stores records and summaries, and runs queries. Constructing one opens nothing. The writer's thread opens
 * the writing end; a separate thread opens the reading end at the first query.
 */
export class Storage extends RecordWriter {
  /** Reading end of the storage. */
  readonly reader: CompleteReader;

  constructor(description: StorageDescription) {
    super(description, ['basic']);
    this.reader =
      'module' in description
        ? threadReader(description.module, this.threadOptions())
        : lazyReader(() => description.openReader());
  }

  /** Returns the summary with that name, if the storage keeps it. */
  kept(name: string): Summary | undefined {
    return this.summaries.find((summary) => summary.name === name);
  }

  /** Range queries: see `TrackUsage.query`. */
  get query(): UsageQuery {
    return new UsageQuery(this.reader, { summaries: this.summaries });
  }

  /** Returns the buckets of a summary: see `TrackUsage.getSum`. */
  async getSum<const O extends SumOptions>(summary: Summary | string, options?: O): Promise<SumResult<O>> {
    return getSum(this.reader, this.kept(summaryName(summary)) ?? summary, options ?? ({} as O));
  }

  /** Returns records, newest first: see `TrackUsage.getUsage`. */
  getUsage(options: UsageOptions = {}): Promise<UsageRecord[]> {
    return getUsage(this.reader, options);
  }

  /** Closes the reading end. The next query opens it again. Idempotent. */
  override async close(): Promise<void> {
    await this.reader.close();
  }
}
