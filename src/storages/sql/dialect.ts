import type { Range } from '../../storage/contract.ts';
import { MEASURES } from '../../storage/measures.ts';
import type { Period } from '../../summaries/periods.ts';

/**
 * SQL expressions of one engine, used by `SumQueries` and `FilterQueries`. All schemas follow the same pattern: `strings` holds
 * every text once, and the other tables refer to its ID. All values are literals.
 */
export interface Dialect {
  /** Runs a query, with a time limit if the engine has one. Numbers may be returned as text or BigInt. */
  query(sql: string): Promise<Row[]>;
  /** Statement prefix that limits the execution time. Defaults to none. */
  readonly hint?: string;
  /** Returns the quoted, qualified name of a table. */
  table(name: string): string;
  /** End of an INSERT that keeps an existing row of a table with an `id`. */
  readonly keep: string;
  /** Name of the sums table of each period. */
  readonly sums: Readonly<Record<Period, string>>;
  /** Name of the records table. */
  readonly records: string;
  /** Join keyword that makes the engine look up each left row on the right side, never the reverse. */
  readonly join: string;
  /**
   * Keyword that keeps a common table expression used several times from being evaluated several times, if
   * the engine needs one.
   */
  readonly once?: string;
  /** True if the engine groups by hashing and counts distinct values by sorting. */
  readonly hashes?: boolean;
  /**
   * Returns all values of a column as the text of one JSON array. Without values, the result is null or an
   * empty array. Reading it is several times as fast as reading rows. Omitted if the engine may truncate such
   * a text; numbers are then returned as text.
   */
  readonly jsonOf?: (column: string) => string;
  text(value: string): string;
  /** Matches a text in `strings`. */
  isText(value: string): string;
  /** Matches a site in `sites`. */
  isSite(name: string): string;
  /** Converts a text to a value compared by bytes, and back. */
  bytes(text: string): string;
  unbytes(bytes: string): string;
  /** Returns a condition: an SQL text contains a part, ignoring the case of ASCII letters. */
  contains(text: string, part: string): string;
  /** Converts an integer to text. */
  digits(number: string): string;
  /** Converts an integer to a floating-point number. */
  real(number: string): string;
  isTrue(flag: string): string;
  /** Conditions on a bucket, and its value in ms since 1970. */
  bucketWithin(bucket: string, range: Range): string;
  bucketMs(bucket: string): string;
  /** Selects the distinct buckets of a series in a range, without scanning each of its keys. */
  buckets(table: string, series: number, range: Range): string;
  /**
   * Returns a condition: record `r` is in a range (whole ms) and, if records hold the site, belongs to the
   * site.
   */
  recordWithin(site: number | string, range: Range): string;
  /**
   * Returns a condition: an endpoint belongs to a site. Used if endpoints hold the site instead of records.
   */
  readonly endpointOf?: (site: number) => string;
  /**
   * Returns the index of the last of these bounds (whole ms) that the date of record `r` has reached. If
   * omitted, each interval is queried separately.
   */
  readonly intervalOf?: (bounds: readonly number[]) => string;
}

/** Position of a record in the order of records. `ms` is within `CALENDAR`. */
export interface RecordPosition {
  ms: number;
  journal: number;
  ordinal: number;
}

/** Expressions that the records of a server need as well: they hold their site, date, journal and ordinal. */
export interface ServerDialect extends Dialect {
  /** Returns a condition that the index supports: record `r` comes before or after a position. */
  isBeyond(sign: '<' | '>', position: RecordPosition): string;
}

/** Dates that all servers can store: the years 1 to 9999. In ms since 1970. */
export const CALENDAR: Range = { from: -62_135_596_800_000, to: 253_402_300_799_999 };

/** Returns the date in `CALENDAR` that is nearest. */
export function inCalendar(ms: number): number {
  return Math.min(Math.max(ms, CALENDAR.from), CALENDAR.to);
}

export type Row = Readonly<Record<string, unknown>>;

/** Selects the sums of the measure columns, under their names. */
export function sumsOf(alias: string): string {
  return MEASURES.map((name) => `SUM(${alias}.${name}) AS ${name}`).join(', ');
}

/** Implements `buckets` for an engine that can seek from each bucket to the next. */
export function skipping(table: string, series: number, from: string, to: string): string {
  const first = (than: string) => `(
    SELECT t.bucket FROM ${table} t WHERE t.series = ${series} AND t.bucket ${than} AND t.bucket <= ${to}
    ORDER BY t.bucket LIMIT 1
  )`;
  return `
    WITH RECURSIVE b(bucket) AS (
      SELECT ${first(`>= ${from}`)}
      UNION ALL SELECT ${first('> b.bucket')} FROM b WHERE b.bucket IS NOT NULL
    ) SELECT bucket FROM b WHERE bucket IS NOT NULL`;
}
