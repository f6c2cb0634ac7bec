import type { Journal } from '../../journal/journal.ts';
import type { PlainError } from '../../platform/threads.ts';
import type { RecordWriter } from '../../storage/writer.ts';
import type { FreeGeoIpStatus } from '../enrich/free-geo-ip-settings.ts';
import { NOTHING_YET } from '../protocol.ts';
import type { WriterClient } from './client.ts';
import type { LastError, ProblemReporter, StatusError } from './problem-reporter.ts';

/** Result of `usage.status()`. Counts are for this process, since its start. */
export interface UsageStatus {
  /** Number of requests that became records or were dropped: `journaled` plus `dropped`. */
  captured: number;
  /** Number of records that the journal accepted, in a file or in memory. */
  journaled: number;
  /** Journal of this process. */
  journal: {
    /** Path of its directory. */
    directory: string;
    /** `memory` while no file can be written, or the disk is slow. `none` if no storage needs a file. */
    state: 'file' | 'memory' | 'none';
    /** Number of times that the disk blocked the app's thread for more than 50 ms. */
    slowAppends: number;
  };
  /** Captured records that no storage will get, by reason. */
  dropped: {
    /** The journal could not be written, and the memory for that case was full. */
    journal: number;
    /** The app sent the response after `close()`, or reading the request failed. */
    capture: number;
  };
  /** Status of each storage and writer, in the order in which they were passed. */
  storages: StorageStatus[];
  /**
   * Counts of requests to the geolocation service. `null` without a service, or before anything is stored.
   */
  freeGeoIp: FreeGeoIpStatus | null;
  /** Number of times that the writer's thread was restarted. */
  writerRestarts: number;
  /** Most recently reported problem; `null` if there was none. */
  lastError: LastError | null;
}

/** Summary in which a bucket had no room for more keys. */
export interface KeyBudgetReached {
  /** Name of the summary. */
  summary: string;
  /** Time of the last occurrence, as ISO 8601 text. */
  date: string;
}

/** Status of one storage or writer. Counts are for this process, since its start. */
export interface StorageStatus {
  /** Label of the storage, for example `sqlite:usage.db`. */
  storage: string;
  /** True if the storage was opened, its last batch succeeded, and every journal can be read. */
  ok: boolean;
  /** Number of records of this process in the storage. Those of dead processes are in `adopted`. */
  committed: number;
  /** Number of records stored from journals of dead processes. */
  adopted: number;
  /** Number of records that the engine rejected, including those of dead processes; they are in the reject file. */
  rejected: number;
  /**
   * Number of records that are not in the storage, including those of dead processes: dropped at the journal's limit,
   * damaged on disk, deleted with their file, or stored in a database that was removed or replaced while the app ran.
   */
  lost: number;
  /** Number of rows that the retention has deleted: records, and sums of expired buckets. */
  pruned: number;
  /** Problem that keeps expired data from being deleted; `null` if there is none. Records are stored meanwhile. */
  pruneError: StatusError | null;
  /** Budgets that were reached: see `maxKeys` and `maxTexts`. */
  budgets: {
    /** Summaries in which a bucket had no room for more keys, with the time of the last occurrence. */
    keys: KeyBudgetReached[];
    /** Number of texts that were replaced with the empty string. */
    texts: number;
  };
  /** Counts for the functions among its hooks. */
  hooks: {
    /** Number of records that wait for the hooks. */
    pending: number;
    /** Number of records skipped because the hooks were too slow. */
    dropped: number;
    /** Number of calls that threw, rejected, or did not settle within 10 s. */
    failed: number;
  };
  /** Records in the journal that are not stored yet. About one second under load is normal. */
  lag: {
    /** Number of records in the journal that are not stored yet. */
    records: number;
    /** Time since there have been such records, in s. */
    seconds: number;
  };
  /** Current problem; `null` if there is none. */
  error: StatusError | null;
}

export function statusOf(
  journal: Journal,
  writer: WriterClient | undefined,
  storages: readonly RecordWriter[],
  problems: ProblemReporter,
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
    pruned: status?.pruned ?? 0,
    pruneError: status?.pruneError ? plain(status.pruneError) : null,
    budgets: {
      keys: Object.entries(status?.overKeys ?? {}).map(([summary, ms]) => ({
        summary,
        date: new Date(ms).toISOString(),
      })),
      texts: status?.overTexts ?? 0,
    },
    hooks: {
      pending: writer?.hooks[index]?.pending ?? 0,
      dropped: status?.unhooked ?? 0,
      failed: writer?.hooks[index]?.failed ?? 0,
    },
    lag: { records, seconds: records === 0 ? 0 : (writer?.secondsBehind(index) ?? 0) },
    error: error ? plain(error) : null,
  };
}

function plain({ code, message }: PlainError): StatusError {
  return { code: code ?? null, message };
}
