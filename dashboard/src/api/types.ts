import type { SiteAnswer } from '../../../src/query/query.ts';
import type { UsageStatus } from '../../../src/tracker/status.ts';

export type {
  Coverage,
  Gap,
  RecordsAnswer,
  SeriesAnswer,
  SummaryInfo,
  TopAnswer,
  TopRow,
  Totals,
  TotalsAnswer,
} from '../../../src/query/query.ts';
export type { RangeName } from '../../../src/query/range.ts';
export type { UsageRecord } from '../../../src/record.ts';
export type { Measures, Order } from '../../../src/storage/contract.ts';
export type { Period } from '../../../src/summaries/periods.ts';
export type { UsageStatus } from '../../../src/tracker/status.ts';

export interface SiteInfo extends SiteAnswer {
  version: string;
  /** `null` where nothing is tracked here: a view of a database. */
  status: UsageStatus | null;
}
