import type { MessagePort } from 'node:worker_threads';
import type { RecordBatchData } from '../batch.ts';
import type { MemoryPiece } from '../journal/pieces.ts';
import type { PlainError } from '../platform/threads.ts';
import type { Summary } from '../summaries/define.ts';
import type { FreeGeoIpData } from './enrich/free-geo-ip-settings.ts';
import type { GeoOption } from './enrich/geo.ts';
import type { CountedTraffic } from './thread/traffic.ts';

/** The first message to the writer's thread about an instance; all others go through the port. */
export interface OpenInstance {
  port: MessagePort;
  data: WriterData;
}

/** Configuration of an instance for the writer thread: plain data only. */
export interface WriterData {
  /** The directory of the journals of this identity. */
  directory: string;
  /** The own journal's id. */
  journal: string;
  /** The memory of `SharedState`. */
  shared: SharedArrayBuffer;
  /** Maximum size of all journals in the directory, bytes. */
  maxBytes: number;
  site: string;
  serverName: string;
  timeZone: string;
  durable: boolean;
  geo: GeoOption;
  freeGeoIp: FreeGeoIpData | undefined;
  storages: readonly StorageData[];
  /** What an earlier thread told last of what it had counted. */
  counted: CountedTraffic | undefined;
  /** How far each storage was then. */
  before: readonly (LaneStatus | undefined)[];
}

export interface StorageData {
  label: string;
  /** `undefined` where the writing end runs in the app's thread. */
  module: string | undefined;
  options: unknown;
  positions: 'storage' | 'journal';
  maxRecords: number | undefined;
  /** Whether it is forgotten with the process. */
  ephemeral: boolean;
  summaries: readonly Summary[];
  /** Whether the app wants to be given the committed records, for functions among the hooks. */
  hooked: boolean;
}

/** What the writer asks of a writing end in the app's thread: a method of `StorageWriter`. */
export interface AppCall {
  id: number;
  storage: number;
  method: 'open' | 'position' | 'apply' | 'resume' | 'forget' | 'close';
  argument: unknown;
}

/** What the app's thread answers to `open`. */
export interface OpenedEnd {
  replays: boolean;
  resumes: boolean;
}

export interface AppResult {
  id: number;
  value?: unknown;
  error?: PlainError;
  /** Whether that error says that the engine refused what it was given. */
  refused?: boolean;
}

/** What waits for hooks. */
export interface HookLoad {
  records: number;
  /** UTF-16 units of their texts. */
  units: number;
}

/** From the app to the writer. */
export type ToWriter =
  | { type: 'memory'; piece: MemoryPiece }
  /** The pieces before this position are in a file now. */
  | { type: 'written'; position: number }
  | ({ type: 'result' } & AppResult)
  /** The hooks of a storage are through with so much more. */
  | ({ type: 'called'; storage: number } & HookLoad)
  /** Answered by `metrics`. */
  | { type: 'metrics'; id: number; openMetrics: boolean }
  /** Answered by `done` when every storage has what the journal holds now. */
  | { type: 'flush'; id: number }
  /** As `flush`, and then everything of the instance is closed, and its port. */
  | { type: 'close'; id: number }
  /** Closes everything immediately, including the port, because nobody waits for it. */
  | { type: 'abandon' };

/** How far one storage is. */
export interface LaneStatus {
  /** Whether it was opened since the start. */
  opened: boolean;
  /** Records of the own journal that it has, the lost ones included. */
  ordinal: number;
  /** The own journal's position that it has committed. */
  position: number;
  /** Records of dead processes that this thread gave it. */
  adopted: number;
  /** Number of records of dead processes that its engine refused. */
  adoptedRejected: number;
  /** Records of dead processes that were gone before it could take them: dropped at the limit, or damaged. */
  adoptedLost: number;
  /** Records of the own journal that its engine refused. */
  rejected: number;
  /**
   * Records of the own journal that were gone before it could take them (dropped at the limit, or damaged), or that went
   * with a database that was removed or replaced.
   */
  lost: number;
  /** Records that its hooks were not called with, because they were too slow. */
  unhooked: number;
  /** What it fails with at the moment. */
  error: PlainError | undefined;
  /** Why a journal cannot be read or deleted at the moment; the others go on. */
  journalError: PlainError | undefined;
}

/** What became of the questions to the geography service. */
export interface FreeGeoIpStatus {
  /** Requests that were made. */
  asked: number;
  /** Those of them that failed, or that did not tell a country. */
  failed: number;
  /** Addresses of batches that were stored before there was an answer for them; again with each batch. */
  missed: number;
  /** Whether it is left alone because it failed several times in a row. */
  paused: boolean;
}
/** Of a storage that was not opened. */
export const NOTHING_YET: Readonly<LaneStatus> = {
  opened: false,
  ordinal: 0,
  position: 0,
  adopted: 0,
  adoptedRejected: 0,
  adoptedLost: 0,
  rejected: 0,
  lost: 0,
  unhooked: 0,
  error: undefined,
  journalError: undefined,
};

/** From the writer to the app. */
export type FromWriter =
  | { type: 'status'; storage: number; status: LaneStatus }
  | { type: 'free-geo-ip'; status: FreeGeoIpStatus }
  | { type: 'problem'; error: PlainError }
  /** Another process may have adopted the own journal. */
  | { type: 'taken' }
  | ({ type: 'call' } & AppCall)
  /** A storage has committed these, for its hooks. */
  | { type: 'stored'; storage: number; records: RecordBatchData; units: number }
  | { type: 'metrics'; id: number; text: string; counted: CountedTraffic }
  | { type: 'done'; id: number };
