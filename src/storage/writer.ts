import { show, TrackUsageError } from '../errors.ts';
import type { UsageRecord } from '../record.ts';
import type { Summary, SummaryLike } from '../summaries/define.ts';
import { summariesOf } from '../summaries/standard.ts';
import type { StorageModule, StorageWriter, WriterContext } from './contract.ts';

/**
 * Function among the hooks. Called in the app's thread for each committed record of this process, at most
 * once. A promise is awaited for up to 10 s before the next call. Up to 65,536 records wait. Errors are
 * passed to `onError`.
 * @useDeclaredType
 */
// Method parameters are compared bivariantly, so that a hook may require a specific kind of storage.
export type RecordHook = {
  bivarianceHack(record: UsageRecord, storage: RecordWriter): void | Promise<void>;
}['bivarianceHack'];

/** Element of `hooks`: a summary to keep, or a function to call. */
export type Hook = SummaryLike | RecordHook;

/** Location of the writing end: a module for the writer's thread, or a function for the app's thread. */
export type WriterLocation =
  | {
      /** URL of the module whose `openWriter` is used: see `StorageModule`. */
      module: string;
      /** Plain data for that module. */
      options: unknown;
    }
  | {
      /** Opens the writing end, in the app's thread. */
      openWriter(context: WriterContext): Promise<StorageWriter>;
    };

/** Describes a place that stores records. */
export type WriterDescription = WriterLocation & {
  /** Name in messages and `status()`. Contains no password. */
  label: string;
  /** Identity of the place: equal in all processes that write to the same place, and distinct otherwise. */
  identity: string;
  /**
   * Summaries to keep, or their names, and functions to call with each record. A `Storage` defaults to
   * `sumBasic`.
   */
  hooks?: readonly Hook[] | undefined;
  /**
   * Component that stores the journals' positions: the writing end, or the journal itself. Defaults to
   * `storage`.
   */
  positions?: 'storage' | 'journal';
  /**
   * True if its data does not outlast the process: it then needs no journal on disk, and gets no records that another
   * process left. Defaults to `false`.
   */
  ephemeral?: boolean;
  /** Maximum number of records per batch. By default, the writer's thread chooses. */
  maxRecords?: number | undefined;
};

/** Stores records: a `Storage`, which can also be queried, or a writer, which cannot. */
export abstract class RecordWriter {
  /** Name in messages and `status()`. Contains no password. */
  readonly label: string;
  /** Identity of the place: equal in all processes that write to the same place, and distinct otherwise. */
  readonly identity: string;
  /** URL of the module that opens it in threads. `undefined` if it runs in the app's thread. */
  readonly module: string | undefined;
  /**
   * Private and returned by a method, so that printing, copying or serializing a storage never reveals a
   * password.
   */
  readonly #options: unknown;
  /** Opens the writing end in the app's thread. `undefined` if it runs in the writer's thread. */
  readonly openWriter: ((context: WriterContext) => Promise<StorageWriter>) | undefined;
  /** Component that stores the journals' positions: the writing end, or the journal itself. */
  readonly positions: 'storage' | 'journal';
  /** Maximum number of records per batch. `undefined` leaves the choice to the writer's thread. */
  readonly maxRecords: number | undefined;
  /** True if the data is lost when the process ends. */
  readonly ephemeral: boolean;
  /** Functions among the hooks. */
  readonly hooks: readonly RecordHook[];
  /** Summaries that it keeps. */
  readonly summaries: readonly Summary[];

  /**
   * Creates a writer.
   * @param unhooked Summaries that are kept if `hooks` is omitted.
   */
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

  /**
   * Returns whether a value is a writer, from this copy of the package or another one. Bundlers can create
   * two copies.
   * @internal
   */
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

  /** Releases the resources of reading. Idempotent. */
  async close(): Promise<void> {}
}

/** Opens the writing end of a storage in this thread, wherever an app would run it. */
export async function openStorageWriter(
  writer: RecordWriter,
  context: WriterContext,
): Promise<StorageWriter> {
  const { openWriter, module } = writer;
  if (openWriter) return openWriter(context);
  return ((await import(module!)) as StorageModule).openWriter(writer.threadOptions(), context);
}
