import { show, TrackUsageError } from '../errors.ts';
import { checkOption, isWholeNumber } from '../options/checks.ts';
import type { UsageRecord } from '../record.ts';
import type { Summary, SummaryLike } from '../summaries/define.ts';
import { summariesOf } from '../summaries/standard.ts';
import type { MaxKeys, StorageModule, StorageWriter, WriterContext } from './contract.ts';
import { type MaxKeysOptions, maxKeysOf } from './key-budget.ts';
import { type Retention, type RetentionOptions, retentionOf } from './retention.ts';

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

/** Options that all storages share. All are optional. */
export interface StorageOptions {
  /** Summaries to keep, or their names, and functions to call with each record. Defaults to `sumBasic`. */
  hooks?: readonly Hook[];
  /**
   * Retention periods of records and of the buckets of summaries, for example `{ records: '30d', hour: '60d' }`. `false`
   * keeps everything. By default, records and hours are kept for 90 days, and days and months forever.
   */
  retention?: RetentionOptions | false;
  /**
   * Maximum number of keys in each bucket of a summary. Further keys are counted under the empty key. Defaults to 10,000
   * per hour, and 50,000 per day and month.
   */
  maxKeys?: number | MaxKeysOptions;
  /**
   * Maximum number of distinct texts (URLs, referrers, user agents, addresses and others) that each process adds per
   * hour. In further records, new texts are replaced with the empty string. Defaults to 200,000.
   */
  maxTexts?: number;
}

/** Names of the `StorageOptions`. */
export const STORAGE_OPTIONS = ['hooks', 'retention', 'maxKeys', 'maxTexts'] as const;

/** Default of the option `maxTexts`. */
const MAX_TEXTS = 200_000;

/** Returns the options that all storages share, for the description of one. */
export function storageOptionsOf({ hooks, retention, maxKeys, maxTexts }: StorageOptions) {
  return { hooks, retention, maxKeys, maxTexts };
}

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
  /** Retention periods: see `StorageOptions`. Needs a writing end with `maintenance`. */
  retention?: RetentionOptions | false | undefined;
  /** Maximum number of keys in each bucket: see `StorageOptions`. */
  maxKeys?: number | MaxKeysOptions | undefined;
  /** Maximum number of texts per hour: see `StorageOptions`. */
  maxTexts?: number | undefined;
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
  /** Retention periods of its data. */
  readonly retention: Retention;
  /** Maximum number of keys in each bucket of its summaries. */
  readonly maxKeys: MaxKeys;
  /** Maximum number of distinct texts that this process adds per hour. */
  readonly maxTexts: number;
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
      retention,
      maxKeys,
      maxTexts = MAX_TEXTS,
    } = description;
    checkOption('maxTexts', maxTexts, isWholeNumber(maxTexts, 1), 'a whole number of texts, at least 1');
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
    this.retention = retentionOf(retention);
    this.maxKeys = maxKeysOf(maxKeys);
    this.maxTexts = maxTexts;
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
