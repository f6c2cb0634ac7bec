import type { RecordJson } from '../../../src/formats/record-json.ts';
import type { SiteResult, RecordsResult as StoredRecords } from '../../../src/query/query.ts';
import type { UsageStatus as AppStatus } from '../../../src/writer/app/status.ts';

export type {
  Bots,
  Budget,
  Coverage,
  Expired,
  Gap,
  KeptPart,
  SeriesResult,
  SummaryInfo,
  TopResult,
  TopRow,
  Totals,
  TotalsResult,
} from '../../../src/query/query.ts';
export type { RangeName } from '../../../src/query/range.ts';
export type { Measures, Order } from '../../../src/storage/contract.ts';
export type { Period } from '../../../src/summaries/periods.ts';
export type { RecordJson };

/** Result of `/records`, with dates as text. */
export type RecordsResult = Omit<StoredRecords, 'records'> & { records: RecordJson[] };

/** `usage.status()` as returned by the API: the date is text, and paths are omitted. */
export type UsageStatus = Omit<AppStatus, 'journal' | 'lastError'> & {
  journal: Omit<AppStatus['journal'], 'directory'>;
  lastError: (Omit<NonNullable<AppStatus['lastError']>, 'date'> & { date: string }) | null;
};

/** Result of `/verify`. */
export interface Verification {
  date: string;
  compared: number;
  count: number;
  notCovered: number;
}

export interface SiteInfo extends SiteResult {
  version: string;
  /** True if `/verify` is available. */
  verify: boolean;
  /** `null` if the server only reads a database and tracks no app. */
  status: UsageStatus | null;
}
