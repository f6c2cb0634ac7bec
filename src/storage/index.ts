/**
 * The storage contract: the types and functions that a storage outside of this package is made of. Documented in
 * `docs/guides/custom-storages.md`.
 */
export {
  type CustomKeys,
  type Extra,
  FLAG_AUTHORIZATION,
  FLAG_BOT,
  RecordBatch,
  type RecordBatchData,
} from '../batch.ts';
export type { Position } from '../journal/position.ts';
export { TEXT_COLUMNS, type TextColumn, type UsageRecord, type UserAgent } from '../record.ts';
export type { DeltaGroup, Deltas } from '../summaries/fold.ts';
export { type Calendar, calendar, PERIODS, type Period } from '../summaries/periods.ts';
export { type DeltaRow, deltaRows, recordRows } from './batch-rows.ts';
export { checkReadable, checkTimeZone, checkVersion } from './checks.ts';
export { closeOnFailure } from './close-on-failure.ts';
export { compareKeys } from './compare-keys.ts';
export type { CompleteReader } from './complete-reader.ts';
export * from './contract.ts';
export { ANY_DATE, cursorNumbers, cursorParts, invalidCursor } from './cursor.ts';
export { fileIdentity } from './file-identity.ts';
export { pageOf, pageOfKeys } from './fold-sums.ts';
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
export { StorageReplaced } from './replaced.ts';
export { type OlderRecords, type RowWithCursor, searchRecords } from './search-records.ts';
export {
  type Hook,
  type RecordHook,
  RecordWriter,
  type WriterDescription,
  type WriterLocation,
} from './writer.ts';
