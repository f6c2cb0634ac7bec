import type { MemoryPiece } from '../journal/journal.ts';
import type { Summary } from '../summaries/define.ts';
import type { PlainError } from '../threads.ts';
import type { GeoOption } from './geo.ts';

/** What the writer's thread is started with: plain data only. */
export interface WriterData {
  /** The directory of the journals of this identity. */
  directory: string;
  /** The own journal's id. */
  journal: string;
  /** The memory of `SharedState`. */
  shared: SharedArrayBuffer;
  site: string;
  serverName: string;
  timeZone: string;
  durable: boolean;
  geo: GeoOption;
  storages: readonly StorageData[];
}

export interface StorageData {
  label: string;
  module: string;
  options: unknown;
  summaries: readonly Summary[];
}

/** From the app to the writer. */
export type ToWriter =
  | { type: 'memory'; piece: MemoryPiece }
  /** Answered by `done` when every storage has what the journal holds now. */
  | { type: 'flush'; id: number }
  /** As `flush`, and then everything is closed. */
  | { type: 'close'; id: number };

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
  /** Records of the own journal that its engine refused. */
  rejected: number;
  /** Records of the own journal that were gone before it could take them: dropped at the limit, or damaged. */
  lost: number;
  /** What it fails with at the moment. */
  error: PlainError | undefined;
}

/** Of a storage that was not opened. */
export const NOTHING_YET: Readonly<LaneStatus> = {
  opened: false,
  ordinal: 0,
  position: 0,
  adopted: 0,
  rejected: 0,
  lost: 0,
  error: undefined,
};

/** From the writer to the app. */
export type FromWriter =
  | { type: 'status'; storage: number; status: LaneStatus }
  | { type: 'problem'; error: PlainError }
  | { type: 'done'; id: number };
