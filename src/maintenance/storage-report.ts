import type { StorageSize } from '../storage/contract.ts';
import type { StoredRetention } from '../storage/retention.ts';
import type { Period } from '../summaries/periods.ts';
import type { JournalInfo, RejectFile } from './journal-status.ts';

/** Growth of a storage, estimated from the requests of the last days. */
export interface Growth {
  /** Average number of requests per day, over up to 7 complete days. `null` if the first request is from today. */
  requestsPerDay: number | null;
  /** Bytes that are added per day. `null` if the size is unknown. */
  bytesPerDay: number | null;
  /** Estimated total size in a year, in bytes, with the same number of requests per day and the retention applied. */
  bytesInYear: number | null;
}

/** Summary whose key budget was recently reached. */
export interface ReachedBudget {
  /** Name of the summary. */
  summary: string;
  /** Period of the buckets: the last 24 hours, 7 days, or the current month. */
  period: Period;
  /** Number of requests whose key had no room. */
  hits: number;
}

/** Result of `storageStatus`. */
export interface StorageReport {
  /** Name of the storage. Contains no password. */
  storage: string;
  /** Name of the site. */
  site: string;
  /** IANA time zone of the site. */
  timeZone: string;
  /** Names of the stored summaries. */
  summaries: string[];
  /** Date of the oldest record, with the site's offset. `null` without records. */
  oldest: string | null;
  /** Date of the newest record, with the site's offset. `null` without records. */
  newest: string | null;
  /** Size by part, of all sites. Unknown values are `null`. */
  size: StorageSize;
  /** Estimated growth. */
  growth: Growth;
  /** Retention stored by the app. Missing parts are kept forever. */
  retention: StoredRetention;
  /** Budgets that were reached recently. */
  budgets: ReachedBudget[];
  /** Journals of apps. `undefined` without the option `journal`. */
  journals: JournalInfo[] | undefined;
  /** Files of rejected records. `undefined` without the option `journal`. */
  rejects: RejectFile[] | undefined;
  /** Recommended actions, as sentences. Empty if there are no problems. */
  advice: string[];
}
