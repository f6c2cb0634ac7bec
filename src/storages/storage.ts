import { getSum, getUsage, type SumAnswer, type SumOptions, type UsageOptions } from '../query/ask.ts';
import { ReaderThread } from '../query/reader-thread.ts';
import type { UsageRecord } from '../record.ts';
import type { Summary, SummaryLike } from '../summaries/define.ts';
import { summariesOf } from '../summaries/standard.ts';
import type { StorageReader } from './contract.ts';

/** How a storage describes itself. */
export interface StorageDescription {
  /** For messages and `status()`; holds no password. */
  label: string;
  /** The same for all processes that write to the same place, and for no others. */
  identity: string;
  /** The address of the module whose `openWriter` and `openReader` are used: see `StorageModule`. */
  module: string;
  /** Plain data for that module. */
  options: unknown;
  /** Defaults to `sumBasic`. */
  hooks?: readonly SummaryLike[] | undefined;
}

/**
 * A place that stores records and summaries and answers questions. Constructing one opens nothing: the writer's
 * thread opens its writing end, a thread of its own the reading end, at the first question.
 */
export class Storage {
  readonly label: string;
  readonly identity: string;
  readonly module: string;
  readonly options: unknown;
  /** The summaries that it keeps. */
  readonly summaries: readonly Summary[];
  /** The reading end. */
  readonly reader: StorageReader;

  constructor({ label, identity, module, options, hooks }: StorageDescription) {
    this.label = label;
    this.identity = identity;
    this.module = module;
    this.options = options;
    this.summaries = summariesOf(hooks ?? ['basic']);
    this.reader = new ReaderThread(module, options);
  }

  /** @internal Whether it is one, of this copy of the package or of another: bundlers make two. */
  static isStorage(value: unknown): value is Storage {
    if (value instanceof Storage) return true;
    const { label, identity, module, summaries } = (value ?? {}) as Partial<Storage>;
    const texts: unknown[] = [label, identity, module];
    return texts.every((text) => typeof text === 'string') && Array.isArray(summaries);
  }

  /** Whether it keeps the summary, so that it can answer for it. */
  keeps(summary: Summary): boolean {
    return this.summaries.some(({ name }) => name === summary.name);
  }

  /** The buckets of a summary: see `TrackUsage.getSum`. */
  getSum<const O extends SumOptions>(summary: Summary | string, options?: O): Promise<SumAnswer<O>> {
    return getSum(this.reader, summary, options ?? ({} as O));
  }

  /** Records, newest first: see `TrackUsage.getUsage`. */
  getUsage(options: UsageOptions = {}): Promise<UsageRecord[]> {
    return getUsage(this.reader, options);
  }

  /** Ends the reading thread; the next question starts it again. May be called twice. */
  async close(): Promise<void> {
    await this.reader.close();
  }
}
