import type { Range } from '../../storage/contract.ts';
import { foldCase } from '../../storage/fold-case.ts';
import { inCalendar, type RecordPosition, type ServerDialect } from '../sql/dialect.ts';
import { hashOf } from '../sql/texts.ts';
import { binary, datetime, text } from './literals.ts';
import type { Session } from './session.ts';
import { TABLES } from './tables.ts';

/** Maximum time that the server may take for a query that may scan all records. In s. */
const QUERY_TIMEOUT = 30;
/** Time limit that MySQL applies and MariaDB ignores, in the outermost SELECT. */
export const HINT = `/*+ MAX_EXECUTION_TIME(${QUERY_TIMEOUT * 1000}) */`;

/** Keeps an existing row unchanged. `IGNORE` would hide other errors too. */
export const KEEP = 'ON DUPLICATE KEY UPDATE id = id';

/** Converts a date to ms since 1970. */
export const ms = (column: string) => `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${column}) DIV 1000`;

/** Returns the dialect of MySQL and MariaDB. */
export function dialectOf(session: Session): ServerDialect {
  return {
    query: (sql) => session.query(limited(sql)),
    hint: HINT,
    table: session.table,
    keep: KEEP,
    sums: TABLES,
    records: 'requests',
    join: 'STRAIGHT_JOIN',
    text,
    isText: (value) => `strings.hash = ${binary(hashOf(value))}`,
    isSite: (name) => `sites.hash = ${binary(hashOf(name))}`,
    // No collation of both servers distinguishes all texts. Most ignore trailing spaces.
    bytes: (value) => `CAST(${value} AS BINARY)`,
    unbytes: (bytes) => `CONVERT(${bytes} USING utf8mb4)`,
    contains: containsBytes,
    digits: (number) => `CAST(${number} AS CHAR)`,
    real: (number) => `(${number} + 0e0)`,
    isTrue: (flag) => `${flag} = 1`,
    bucketWithin: (bucket, { from, to }) => `${bucket} BETWEEN ${range(from, to)}`,
    bucketMs: ms,
    // Compares both columns, so that the server can seek from each bucket to the next.
    buckets: (table, series, { from, to }) =>
      `SELECT DISTINCT t.series, t.bucket FROM ${table} t
       WHERE t.series = ${series} AND t.bucket BETWEEN ${range(from, to)}`,
    recordWithin: (site, { from, to }: Range) => `r.site = ${site} AND r.date BETWEEN ${range(from, to)}`,
    isBeyond,
    intervalOf: (bounds) => `INTERVAL(${ms('r.date')}, ${bounds.join(', ')}) - 1`,
  };
}

/**
 * Returns a condition that ignores the case of ASCII letters. LOWER converts different letters in each
 * version, and no function converts ASCII alone. So the letters of the part are replaced one by one, in the
 * bytes of the value. In UTF-8, no byte of another character equals an ASCII letter.
 */
function containsBytes(value: string, part: string): string {
  const folded = foldCase(part);
  const letters = new Set(folded.match(/[a-z]/g));
  const found = [...letters].reduce(
    (bytes, letter) => `REPLACE(${bytes}, ${ascii(letter.toUpperCase())}, ${ascii(letter)})`,
    `CAST(${value} AS BINARY)`,
  );
  return `LOCATE(${binary(Buffer.from(folded))}, ${found}) > 0`;
}

function ascii(letter: string): string {
  return binary(Buffer.from(letter));
}

/** Prepends the time limit that MariaDB applies and MySQL ignores. */
export function limited(sql: string): string {
  return `/*M! SET STATEMENT max_statement_time = ${QUERY_TIMEOUT} FOR */ ${sql}`;
}

export function range(from: number, to: number): string {
  return `${literal(Math.ceil(from))} AND ${literal(to)}`;
}

/** Compares positions. A single comparison of three columns would not use the index. */
function isBeyond(sign: '<' | '>', { ms, journal, ordinal }: RecordPosition): string {
  const date = datetime(ms);
  return `r.date ${sign}= ${date} AND (r.date ${sign} ${date}
    OR r.journal ${sign} ${journal} OR (r.journal = ${journal} AND r.ordinal ${sign} ${ordinal}))`;
}

function literal(at: number): string {
  return datetime(inCalendar(at));
}
