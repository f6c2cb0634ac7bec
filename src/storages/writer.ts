import { show, TrackUsageError } from '../errors.ts';
import type { UsageRecord } from '../record.ts';
import type { Summary, SummaryLike } from '../summaries/define.ts';
import { summariesOf } from '../summaries/standard.ts';
import type { StorageModule, StorageWriter, WriterContext } from './contract.ts';

/**
 * A function among the hooks: called in the app's thread with each record that the storage has committed, at most
 * once, for records of this process. A promise is waited for up to 10 s before the next call; up to 65,536 records
 * wait. What it throws is told to `onError`.
 */
// A method's parameters are compared loosely, so that a hook may ask for the kind of storage that it stands in.
export type RecordHook = {
  bivarianceHack(record: UsageRecord, storage: RecordWriter): void | Promise<void>;
}['bivarianceHack'];

/** What `hooks` takes: summaries to keep, and functions to call. */
export type Hook = SummaryLike | RecordHook;

/** Where the writing end runs: in the writer's thread, from a module, or in the app's thread, as it was given. */
export type WritingEnd =
  | {
      /** The address of the module whose `openWriter` is used: see `StorageModule`. */
      module: string;
      /** Plain data for that module. */
      options: unknown;
    }
  | { openWriter(context: WriterContext): Promise<StorageWriter> };

/** How a place that takes records describes itself. */
export type WriterDescription = WritingEnd & {
  /** For messages and `status()`; holds no password. */
  label: string;
  /** The same for all processes that write to the same place, and for no others. */
  identity: string;
  hooks?: readonly Hook[] | undefined;
  /** Who remembers how far each journal is written: the writing end itself, or the journal. Defaults to `storage`. */
  positions?: 'storage' | 'journal';
  /**
   * True if its data does not outlast the process: it then needs no journal on disk, and gets no records that another
   * process left. Defaults to `false`.
   */
  ephemeral?: boolean;
  /** The most records of a batch. Defaults to what the writer's thread finds right. */
  maxRecords?: number;
};

/** A place that takes records: a `Storage`, which answers questions too, or a writer, which does not. */
export abstract class RecordWriter {
  readonly label: string;
  readonly identity: string;
  /** See `WritingEnd`; `undefined` where the writing end runs in the app's thread. */
  readonly module: string | undefined;
  /** Private, and given by a method: nothing that prints, copies or serializes a storage finds a password. */
  readonly #options: unknown;
  readonly openWriter: ((context: WriterContext) => Promise<StorageWriter>) | undefined;
  readonly positions: 'storage' | 'journal';
  readonly maxRecords: number | undefined;
  /** Whether it is forgotten with the process. */
  readonly ephemeral: boolean;
  /** The functions among the hooks. */
  readonly hooks: readonly RecordHook[];
  /** The summaries that it keeps. */
  readonly summaries: readonly Summary[];

  /** @param unhooked What it keeps where `hooks` is left out. */
  constructor(description: WriterDescription, unhooked: readonly string[]) {
    const {
      label,
      identity,
      hooks = unhooked,
      positions = 'storage',
      maxRecords,
      ephemeral = false,
    } = description;
    if (!Array.isArray(hooks)) {
      throw new TrackUsageError('OPTION_INVALID', {
        name: 'hooks',
        value: show(hooks),
        expected: 'a list of summaries and functions',
      });
    }
    this.label = label;
    this.identity = identity;
    const inThread = 'module' in description;
    this.module = inThread ? description.module : undefined;
    this.#options = inThread ? description.options : undefined;
    this.openWriter = inThread ? undefined : (context) => description.openWriter(context);
    this.positions = positions;
    this.maxRecords = maxRecords;
    this.ephemeral = ephemeral;
    this.hooks = hooks.filter((hook) => typeof hook === 'function');
    const summaries = hooks.filter((hook) => typeof hook !== 'function');
    this.summaries = summariesOf(summaries);
  }

  /** @internal Whether it is one, of this copy of the package or of another: bundlers make two. */
  static isWriter(value: unknown): value is RecordWriter {
    if (value instanceof RecordWriter) return true;
    const { label, identity, positions, summaries } = (value ?? {}) as Partial<RecordWriter>;
    const texts: unknown[] = [label, identity, positions];
    return texts.every((text) => typeof text === 'string') && Array.isArray(summaries);
  }

  /** Returns what `module` needs to open either end. May hold a password. @internal */
  threadOptions(): unknown {
    return this.#options;
  }

  /** Lets go of what reading holds. May be called twice. */
  async close(): Promise<void> {}
}

/** The writing end of a storage, opened in this thread, wherever it runs in an app. */
export async function openWritingEnd(writer: RecordWriter, context: WriterContext): Promise<StorageWriter> {
  const { openWriter, module } = writer;
  if (openWriter) return openWriter(context);
  return ((await import(module!)) as StorageModule).openWriter(writer.threadOptions(), context);
}
