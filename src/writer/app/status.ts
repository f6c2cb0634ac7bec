import type { Journal } from '../../journal/journal.ts';
import type { PlainError } from '../../platform/threads.ts';
import type { RecordWriter } from '../../storage/writer.ts';
import type { FreeGeoIpStatus } from '../enrich/free-geo-ip-settings.ts';
import { NOTHING_YET } from '../protocol.ts';
import type { WriterClient } from './client.ts';
import type { Problems } from './problem-reporter.ts';

/** What `usage.status()` says. Counts are of this process, since its start. */
export interface UsageStatus {
  /** Requests that became records. */
  captured: number;
  /** Records that the journal took, in a file or in memory. */
  journaled: number;
  journal: {
    directory: string;
    /** `memory` while no file can be written, or the disk is slow. */
    state: 'file' | 'memory' | 'none';
    /** Number of times that the disk blocked the app's thread for more than 50 ms. */
    slowAppends: number;
  };
  /** Captured records that no storage will get, by reason. */
  dropped: {
    /** The journal could not be written and the memory for that case was full. */
    journal: number;
    /** The app answered them after `close()`, or reading the request failed. */
    capture: number;
  };
  storages: StorageStatus[];
  /** What became of the questions to the geography service; `null` where there is none, or nothing is stored yet. */
  freeGeoIp: FreeGeoIpStatus | null;
  /** How often the writer's thread was started again. */
  writerRestarts: number;
  /** What was reported last. */
  lastError: { date: number; code: string | null; message: string } | null;
}

export interface StorageStatus {
  storage: string;
  /** True if the storage was opened, its last batch succeeded, and every journal can be read. */
  ok: boolean;
  /** Records of this process that it has; those that a dead process left to it are in `adopted`. */
  committed: number;
  adopted: number;
  /** Number of records that the engine rejected, including those of dead processes; they are in the reject file. */
  rejected: number;
  /**
   * Number of records that are not in the storage, including those of dead processes: dropped at the journal's limit,
   * damaged on disk, deleted with their file, or stored in a database that was removed or replaced while the app ran.
   */
  lost: number;
  /** Calls of the functions among its hooks. */
  hooks: {
    /** Records that they were not called with yet. */
    pending: number;
    /** Records that they will not be called with, because they were too slow. */
    dropped: number;
    /** Calls that threw, rejected, or did not settle within 10 s. */
    failed: number;
  };
  lag: {
    /** Records that are journaled and not stored yet. */
    records: number;
    /** For how long there have been some. */
    seconds: number;
  };
  error: { code: string | null; message: string } | null;
}

export function statusOf(
  journal: Journal,
  writer: WriterClient | undefined,
  storages: readonly RecordWriter[],
  problems: Problems,
): UsageStatus {
  return {
    captured: journal.records + journal.dropped + journal.uncaptured,
    journaled: journal.records,
    journal: { directory: journal.path, state: journal.state, slowAppends: journal.slowAppends },
    dropped: { journal: journal.dropped, capture: journal.uncaptured },
    storages: storages.map(({ label }, index) => storageStatus(label, index, journal, writer)),
    freeGeoIp: writer?.freeGeoIp ?? null,
    writerRestarts: writer?.restarts ?? 0,
    lastError: problems.last,
  };
}

function storageStatus(
  storage: string,
  index: number,
  journal: Journal,
  writer: WriterClient | undefined,
): StorageStatus {
  const status = writer?.statuses[index];
  const { ordinal, adopted, adoptedRejected, adoptedLost, rejected, lost } = status ?? NOTHING_YET;
  const records = Math.max(0, journal.records - ordinal);
  const error = status?.error ?? status?.journalError;
  return {
    storage,
    ok: status?.opened === true && !error,
    committed: Math.max(0, ordinal - lost - rejected - (writer?.handedOver[index] ?? 0)),
    adopted,
    rejected: rejected + adoptedRejected,
    lost: lost + adoptedLost,
    hooks: {
      pending: writer?.hooks[index]?.pending ?? 0,
      dropped: status?.unhooked ?? 0,
      failed: writer?.hooks[index]?.failed ?? 0,
    },
    lag: { records, seconds: records === 0 ? 0 : (writer?.secondsBehind(index) ?? 0) },
    error: error ? plain(error) : null,
  };
}

function plain({ code, message }: PlainError): StorageStatus['error'] {
  return { code: code ?? null, message };
}
