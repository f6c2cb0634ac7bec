import type { StorageSize } from '../storage/contract.ts';
import type { StoredRetention } from '../storage/retention.ts';
import type { Period } from '../summaries/periods.ts';
import type { JournalInfo, RejectFile } from './journal-status.ts';

/** Growth of a storage, estimated from the requests of the last days. */
export interface Growth {
  /** Average number of requests per day, of up to 7 complete days. `null` if the first request is of today. */
  requestsPerDay: number | null;
  /** Bytes that are added per day. `null` if the size is unknown. */
  bytesPerDay: number | null;
  /** Estimated total size in a year, with the same number of requests and the retention applied, in bytes. */
  bytesInYear: number | null;
}

/** Summary whose key budget was reached. */
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
  /** Retention that the app has stored. Parts without one are kept forever. */
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
