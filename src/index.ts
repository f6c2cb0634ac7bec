/**
 * Tracks apps, queries the stored usage, and defines summaries. Contains the types of options and results.
 * @module track-usage
 */
export type { Request } from './capture/exchange.ts';
export type { OptedOut } from './capture/opt-out.ts';
export type { StoredFields } from './capture/stored-fields.ts';
export type { Mark, Views } from './capture/view-filter.ts';
export type { CookieOptions } from './capture/visitor.ts';
export { type ErrorCode, TrackUsageError } from './errors.ts';
export type { TrackedApp } from './frameworks/index.ts';
export type { JournalMode } from './journal/journal.ts';
export type { KeyDifference } from './maintenance/compare.ts';
export type { ForgetProgress, ForgottenKey } from './maintenance/deletion.ts';
export {
  type ForgetOptions,
  type ForgetResult,
  forget,
  type RemainingText,
} from './maintenance/forget.ts';
export type { JournalInfo, RejectFile } from './maintenance/journal-status.ts';
export {
  type CorrectedStart,
  type PrunedJump,
  type PrunedPart,
  type PruneOptions,
  type PruneProgress,
  type PruneResult,
  prune,
} from './maintenance/prune.ts';
export { type RebuildOptions, rebuild } from './maintenance/rebuild.ts';
export type { RebuildResult, Refused } from './maintenance/rebuild-buckets.ts';
export type { MaintenanceProgress, ScopeOptions, Uncovered } from './maintenance/scope.ts';
export { type StorageStatusOptions, storageStatus } from './maintenance/status.ts';
export type { Growth, ReachedBudget, StorageReport } from './maintenance/storage-report.ts';
export {
  type BucketList,
  type Difference,
  type NotCounted,
  type NotCovered,
  type Uncountable,
  type VerifyResult,
  verify,
} from './maintenance/verify.ts';
export { METRICS_CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE } from './metrics/exposition.ts';
export type {
  AppRequest,
  DailyOptions,
  JournalSettings,
  TrackUsageOptions,
} from './options/tracker-options.ts';
export type { Comparison } from './query/comparison.ts';
export type {
  Bots,
  Bucket,
  Budget,
  ComparedOptions,
  Coverage,
  Expired,
  Filter,
  Gap,
  KeptPart,
  Latency,
  LatencyOptions,
  MinuteBucket,
  MinutesOptions,
  MinutesResult,
  PreviousBuckets,
  PreviousTotals,
  QueryOptions,
  RangeResult,
  RecordsOptions,
  RecordsResult,
  ResolvedRange,
  SeriesOptions,
  SeriesResult,
  SiteResult,
  SummaryInfo,
  TopOptions,
  TopResult,
  TopRow,
  Totals,
  TotalsResult,
  UsageQuery,
  WithLatency,
} from './query/query.ts';
export type { RangeName, RangeOptions, When } from './query/range.ts';
export { Storage, type StorageDescription } from './query/storage.ts';
export type { Sum, SumOptions, SumResult, UsageOptions } from './query/sums-and-records.ts';
export type { CapturedRecord, RequestClass, UsageRecord, UserAgent } from './record.ts';
export type { UsageHandler } from './server/handler.ts';
export type { HandlerOptions } from './server/options.ts';
export type { AccessLogFormat } from './sinks/access-log/format.ts';
export { AccessLogWriter, type AccessLogWriterOptions } from './sinks/access-log/index.ts';
export { type Output, OutputWriter, type OutputWriterOptions } from './sinks/output.ts';
export { PrintWriter, type PrintWriterOptions } from './sinks/print.ts';
export type { KeyRow, MaxKeys, Measures, Order, Person } from './storage/contract.ts';
export type { MaxKeysOptions, PeriodLimits } from './storage/key-budget.ts';
export type { KeepTime, Part, Retention, RetentionOptions } from './storage/retention.ts';
export {
  type Hook,
  type RecordHook,
  RecordWriter,
  type StorageOptions,
  type WriterDescription,
} from './storage/writer.ts';
export { OTHERS } from './summaries/coverage.ts';
export {
  defineSummary,
  type KeyFunction,
  type KeyResult,
  type Summary,
  type SummaryDefinition,
  type SummaryGroup,
  type SummaryLike,
} from './summaries/define.ts';
export type { Period } from './summaries/periods.ts';
export type { ClassifyFunction } from './summaries/request-class.ts';
export {
  STANDARD_SUMMARIES,
  sumApi,
  sumAssets,
  sumBasic,
  sumBots,
  sumBrowsers,
  sumCampaigns,
  sumClasses,
  sumDevices,
  sumGeo,
  sumHosts,
  sumLanguages,
  sumMethods,
  sumNotFound,
  sumPages,
  sumPaths,
  sumPlatforms,
  sumProtocols,
  sumReferrers,
  sumRemotes,
  sumRoutes,
  sumServer,
  sumStatus,
  sumUrls,
  sumUserAgents,
  sumUsers,
  sumVisitors,
} from './summaries/standard.ts';
export { NOT_FOUND, type UrlKeyFunction } from './summaries/url-key.ts';
export { type MetricsOptions, type TimeoutOptions, TrackUsage } from './tracker/tracker.ts';
export type { LastError, StatusError } from './writer/app/problem-reporter.ts';
export type { KeyBudgetReached, StorageStatus, UsageStatus } from './writer/app/status.ts';
export type { FreeGeoIpSettings, FreeGeoIpStatus } from './writer/enrich/free-geo-ip-settings.ts';
export type { GeoSettings } from './writer/enrich/geo.ts';
export { INTERNAL_HOST } from './writer/enrich/sources.ts';
