import type { Period } from '../../summaries/periods.ts';
import type { Range } from '../contract.ts';
import { MEASURES } from '../measures.ts';

/**
 * How an engine says what `SqlQuestions` asks. The schemas are alike: `strings` holds every text once, the tables of
 * sums and records its id. All values are literals.
 */
export interface Dialect {
  /** Numbers may come as text or as BigInt. */
  query(sql: string): Promise<Row[]>;
  /** With what a statement says how long it may take. Defaults to nothing. */
  readonly hint?: string;
  /** The quoted name of a table, with where it is. */
  table(name: string): string;
  /** Of each period, the name of the table of its sums. */
  readonly sums: Readonly<Record<Period, string>>;
  /** The name of the table of records. */
  readonly records: string;
  /** A join that looks for each row of its left side on its right side, never the other way round. */
  readonly join: string;
  /** What keeps a named query that is used several times from being asked several times, where it needs a word. */
  readonly once?: string;
  /** Whether it groups by hashes, and counts what is distinct by sorting it. */
  readonly hashes?: boolean;
  /**
   * All values of a column as the text of one JSON array, null or an empty one where there are none. It is read several
   * times as fast as so many rows; left out where such a text may be cut off, and numbers come as text then.
   */
  readonly jsonOf?: (column: string) => string;
  text(value: string): string;
  /** Finds a text in `strings`. */
  isText(value: string): string;
  /** Finds a site in `sites`. */
  isSite(name: string): string;
  /** A text as what is compared by its bytes, and back. */
  bytes(text: string): string;
  unbytes(bytes: string): string;
  /** Whether a text, as SQL, has a part, with ASCII letters in either case. */
  contains(text: string, part: string): string;
  /** A whole number as text. */
  digits(number: string): string;
  /** A whole number as one with fractions. */
  real(number: string): string;
  isTrue(flag: string): string;
  /** Whether a bucket is within, and in ms since 1970. */
  bucketWithin(bucket: string, range: Range): string;
  bucketMs(bucket: string): string;
  /** The different buckets of a series in a range, without looking at each of its keys. */
  buckets(table: string, series: number, range: Range): string;
  /** Whether a record `r` is of a range, in whole ms, and, where it holds it itself, of a site. */
  recordWithin(site: number, range: Range): string;
  /** Whether an endpoint is of a site, where it holds it instead. */
  readonly endpointOf?: (site: number) => string;
  /**
   * The number of the last of these bounds, in whole ms, that the date of a record `r` has passed. Where it is left
   * out, each interval is asked for by itself.
   */
  readonly intervalOf?: (bounds: readonly number[]) => string;
}

export type Row = Readonly<Record<string, unknown>>;

/** Columns, added up, under their names. */
export function sumsOf(alias: string): string {
  return MEASURES.map((name) => `SUM(${alias}.${name}) AS ${name}`).join(', ');
}

/** `buckets` for an engine that can go from each bucket straight to the next one. */
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
