import {
  getSum,
  getUsage,
  type SumAnswer,
  type SumOptions,
  summaryName,
  type UsageOptions,
} from '../query/ask.ts';
import { UsageQuery } from '../query/query.ts';
import { threadReader } from '../query/reader-thread.ts';
import type { UsageRecord } from '../record.ts';
import type { Summary } from '../summaries/define.ts';
import type { CompleteReader } from './complete-reader.ts';
import type { StorageReader } from './contract.ts';
import { lazyReader } from './lazy-reader.ts';
import { RecordWriter, type WriterDescription } from './writer.ts';

/**
 * How a storage describes itself: by a module whose `openWriter` and `openReader` run in threads, or by two
 * functions of those names, which run in the app's thread.
 */
export type StorageDescription = WriterDescription &
  ({ module: string } | { openReader(): Promise<StorageReader> });

/**
 * A place that stores records and summaries and answers questions. Constructing one opens nothing: the writer's
 * thread opens its writing end, a thread of its own the reading end, at the first question.
 */
export class Storage extends RecordWriter {
  /** The reading end. */
  readonly reader: CompleteReader;

  constructor(description: StorageDescription) {
    super(description, ['basic']);
    this.reader =
      'module' in description
        ? threadReader(description.module, this.threadOptions())
        : lazyReader(() => description.openReader());
  }

  /** The summary of that name, where it keeps it and so can answer for it. */
  kept(name: string): Summary | undefined {
    return this.summaries.find((summary) => summary.name === name);
  }

  /** Questions over a range of time: see `TrackUsage.query`. */
  get query(): UsageQuery {
    return new UsageQuery(this.reader, { summaries: this.summaries });
  }

  /** The buckets of a summary: see `TrackUsage.getSum`. */
  async getSum<const O extends SumOptions>(summary: Summary | string, options?: O): Promise<SumAnswer<O>> {
    return getSum(this.reader, this.kept(summaryName(summary)) ?? summary, options ?? ({} as O));
  }

  /** Records, newest first: see `TrackUsage.getUsage`. */
  getUsage(options: UsageOptions = {}): Promise<UsageRecord[]> {
    return getUsage(this.reader, options);
  }

  /** Closes the reading end; the next question opens it again. May be called twice. */
  override async close(): Promise<void> {
    await this.reader.close();
  }
}
