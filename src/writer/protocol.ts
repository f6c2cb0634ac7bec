import type { MessagePort } from 'node:worker_threads';
import type { RecordBatchData } from '../batch.ts';
import type { MemoryPiece } from '../journal/pieces.ts';
import type { PlainError } from '../platform/threads.ts';
import type { MaxKeys, StorageMaintenance } from '../storage/contract.ts';
import type { Retention } from '../storage/retention.ts';
import type { Summary } from '../summaries/define.ts';
import type { Deltas } from '../summaries/fold.ts';
import type { UrlKeyChoice } from '../summaries/url-key.ts';
import type { FreeGeoIpData, FreeGeoIpStatus } from './enrich/free-geo-ip-settings.ts';
import type { GeoOption } from './enrich/geo.ts';

/** The first message to the writer's thread about an instance; all others go through the port. */
export interface OpenInstance {
  port: MessagePort;
  data: WriterData;
}

/** Form in which the address and the user agent are stored. */
export interface StoredChoice {
  remoteAddr: boolean;
  /** `reduced` stores its name, major version and platform. */
  userAgent: boolean | 'reduced';
}

/** Configuration of an instance for the writer's thread: plain data only. */
export interface WriterData {
  /** Directory of this identity's journals. */
  directory: string;
  /** ID of the own journal. */
  journal: string;
  /** Memory of `SharedState`. */
  shared: SharedArrayBuffer;
  /** Maximum size of all journals in the directory, in bytes. */
  maxBytes: number;
  site: string;
  serverName: string;
  timeZone: string;
  durable: boolean;
  geo: GeoOption;
  freeGeoIp: FreeGeoIpData | undefined;
  /** Settings of daily visitors, if there are any. */
  daily: { secret: string | undefined } | undefined;
  /** Fields that are in the journal, but may be left out of the records. */
  stored: StoredChoice;
  /** Keys in `sumUrls`. */
  urlKeys: UrlKeyChoice;
  storages: readonly StorageData[];
  /** Status of each storage when the previous thread ended. */
  before: readonly (PipelineStatus | undefined)[];
}

export interface StorageData {
  label: string;
  /** `undefined` if the writing end runs in the app's thread. */
  module: string | undefined;
  options: unknown;
  positions: 'storage' | 'journal';
  maxRecords: number | undefined;
  /** True if its data is lost when the process ends. */
  ephemeral: boolean;
  summaries: readonly Summary[];
  retention: Retention;
  maxKeys: MaxKeys;
  /** Maximum number of distinct texts added per hour. */
  maxTexts: number;
  /** True if the app needs the committed records, for hook functions. */
  hooked: boolean;
}

/** Call of a `StorageWriter` method on a writing end in the app's thread. */
export interface AppCall {
  id: number;
  storage: number;
  method: 'open' | 'position' | 'admit' | 'apply' | 'resume' | 'maintain' | 'visitorKey' | 'forget' | 'close';
  argument: unknown;
}

/** Reply of the app's thread to `open`. */
export interface OpenedWriter {
  replays: boolean;
  resumes: boolean;
  admits: boolean;
  maintains: boolean;
  keepsVisitorKeys: boolean;
}

/** Reply of the app's thread to `admit` and `apply`. */
export interface WrittenBatch {
  /** Deltas of the admitted batch. `undefined` for `apply`. */
  deltas: Deltas | undefined;
  /** Result of `apply`. */
  applied: boolean;
  /** Summaries whose key budget was reached. */
  overBudget: ReadonlySet<string>;
}

/** Argument of `maintain`: a method of `StorageMaintenance`. */
export interface MaintenanceCall {
  method: keyof StorageMaintenance;
  arguments: readonly unknown[];
}

export interface AppResult {
  id: number;
  value?: unknown;
  error?: PlainError;
  /** True if the error means that the engine refused its input. */
  refused?: boolean;
}

/** Load that waits for hooks. */
export interface HookLoad {
  records: number;
  /** Number of UTF-16 units of their texts. */
  units: number;
}

/** Message from the app to the writer. */
export type ToWriter =
  | { type: 'memory'; piece: MemoryPiece }
  /** The pieces before this position are in a file. */
  | { type: 'written'; position: number }
  | ({ type: 'result' } & AppResult)
  /** The hooks of a storage have processed this load. */
  | ({ type: 'called'; storage: number } & HookLoad)
  /** Answered by `done` when every storage has the current contents of the journal. */
  | { type: 'flush'; id: number }
  /** Like `flush`, then closes everything of the instance, including the port. */
  | { type: 'close'; id: number }
  /** Closes everything of the instance, including the port, without waiting for its records to be stored. */
  | { type: 'abandon' };

/** Progress of a storage. */
export interface PipelineStatus {
  /** True if it has been opened since the thread started. */
  opened: boolean;
  /** Number of records of the own journal that it has, including lost ones. */
  ordinal: number;
  /** Committed position of the own journal. */
  position: number;
  /** Number of records of dead processes that this thread has stored in the storage. */
  adopted: number;
  /** Number of records of dead processes that its engine refused. */
  adoptedRejected: number;
  /**
   * Number of records of dead processes lost before they could be stored: dropped at the limit, or damaged.
   */
  adoptedLost: number;
  /** Number of records of the own journal that its engine refused. */
  rejected: number;
  /**
   * Number of records of the own journal that are not in the storage. They were dropped at the limit,
   * damaged, or lost with a database that was removed or replaced.
   */
  lost: number;
  /** Number of records for which its hooks were not called, because they were too slow. */
  unhooked: number;
  /** Number of texts that were replaced, because the budget of the hour was reached. */
  overTexts: number;
  /** Time in ms since 1970 at which the key budget of a summary was last reached, by name. */
  overKeys: Readonly<Record<string, number>>;
  /** Number of rows deleted because of the retention. */
  pruned: number;
  /** Current problem of deleting expired data, if any. */
  pruneError: PlainError | undefined;
  /** Current error, if any. */
  error: PlainError | undefined;
  /** Current error of a journal that cannot be read or deleted. Other journals continue. */
  journalError: PlainError | undefined;
}

/** Status of a storage that has not been opened. */
export const NOTHING_YET: Readonly<PipelineStatus> = {
  opened: false,
  ordinal: 0,
  position: 0,
  adopted: 0,
  adoptedRejected: 0,
  adoptedLost: 0,
  rejected: 0,
  lost: 0,
  unhooked: 0,
  overTexts: 0,
  overKeys: {},
  pruned: 0,
  pruneError: undefined,
  error: undefined,
  journalError: undefined,
};

/** Message from the writer to the app. */
export type FromWriter =
  | { type: 'status'; storage: number; status: PipelineStatus }
  | { type: 'free-geo-ip'; status: FreeGeoIpStatus }
  | { type: 'problem'; error: PlainError }
  /** Another process may have adopted the own journal. */
  | { type: 'taken' }
  | ({ type: 'call' } & AppCall)
  /** Records that a storage has committed, for its hooks. */
  | { type: 'stored'; storage: number; records: RecordBatchData; units: number }
  | { type: 'done'; id: number };
