/**
 * Contract of a custom storage, and the functions that the built-in ones share.
 * @module track-usage/storage
 */
export {
  type CustomKeys,
  type Extra,
  FLAG_AUTHORIZATION,
  FLAG_BOT,
  RecordBatch,
  type RecordBatchData,
  type TextLimit,
} from '../batch.ts';
export type { Position } from '../journal/position.ts';
export { TEXT_COLUMNS, type TextColumn, type UsageRecord, type UserAgent } from '../record.ts';
export { COVERAGE, ERASED, OTHERS, type ReservedSummary } from '../summaries/coverage.ts';
export type { DeltaGroup, Deltas } from '../summaries/fold.ts';
export { type Calendar, calendar, changingTo, PERIODS, type Period, targetOf } from '../summaries/periods.ts';
export { type DeltaRow, deltaRows, recordRows } from './batch-rows.ts';
export { batchInProgress, checkReadable, checkTimeZone, checkVersion } from './checks.ts';
export { closeOnFailure } from './close-on-failure.ts';
export { compareKeys } from './compare-keys.ts';
export type { CompleteReader } from './complete-reader.ts';
export {
  type Batch,
  type Condition,
  type FoundRecords,
  type KeyRow,
  type Keys,
  type KeysPage,
  type KeysRequest,
  type LeaseRequest,
  type Matching,
  type MatchingKeysRequest,
  type MatchingRecordsRequest,
  type MatchingRow,
  type MatchingSeriesRequest,
  type MaxKeys,
  type Measures,
  ORDERS,
  type Order,
  type PartSize,
  type Person,
  type PositionRequest,
  type PruneRequest,
  type Range,
  type Recount,
  type RecountRequest,
  type Scanned,
  type ScanRequest,
  type SeriesRequest,
  type SeriesRow,
  type Span,
  type StorageMaintenance,
  type StorageModule,
  type StorageReader,
  type StorageSize,
  type StorageTimes,
  type StorageWriter,
  type SumRow,
  type SumsRequest,
  type TimeZoneRequest,
  type Total,
  type TotalRequest,
  type UsageRequest,
  type VisitorKeyRequest,
  type WriterContext,
} from './contract.ts';
export { ANY_DATE, cursorNumbers, cursorParts, invalidCursor } from './cursor.ts';
export { fileIdentity } from './file-identity.ts';
export { pageOf, pageOfKeys } from './fold-sums.ts';
export { admitted, admittedCompanions, type BucketKeys, maxKeysIn } from './key-budget.ts';
export { addMeasures, MEASURES, noMeasures } from './measures.ts';
export {
  compareSums,
  pageOfMatching,
  pageOfScan,
  pageOfSums,
  pageOfUsage,
  type StoredRow,
} from './pages.ts';
export { RECORD_COLUMNS, type RecordRow, recordOf, rowOfRecord } from './record-row.ts';
export { recountIn } from './recount.ts';
export { StorageReplaced } from './replaced.ts';
export {
  horizonsOf,
  KEEP_ALL,
  type KeepTime,
  PARTS,
  type Part,
  type Retention,
  type StoredRetention,
} from './retention.ts';
export { type OlderRecords, type RowWithCursor, searchRecords } from './search-records.ts';
export {
  type Hook,
  type RecordHook,
  RecordWriter,
  type WriterDescription,
  type WriterLocation,
} from './writer.ts';
