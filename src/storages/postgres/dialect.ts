import type { Range } from '../contract.ts';
import { foldCase } from '../fold-case.ts';
import { type Dialect, type Row, skipping } from '../sql/dialect.ts';
import { hashOf } from '../sql/texts.ts';
import { TABLES } from './schema.ts';
import type { Session } from './session.ts';

/** What both calendars hold: the years 1 to 9999. In ms since 1970. */
export const FIRST = -62_135_596_800_000;
export const LAST = 253_402_300_799_999;

/** ms since 1970. */
export const ms = (column: string) => `(extract(epoch FROM ${column}) * 1000)::int8`;

/** How PostgreSQL says what is asked. */
export function dialectOf(session: Session): Dialect {
  return {
    query: (sql) => session.limited<Row>(sql),
    table: (name) => `${session.schema}.${name}`,
    sums: TABLES,
    records: 'records',
    // By its own judgement: it counts what is on either side.
    join: 'JOIN',
    once: 'MATERIALIZED',
    hashes: true,
    jsonOf: (column) => `json_agg(${column})::text`,
    text,
    isText: (value) => `strings.hash = '${hashOf(value).toString('hex')}'::uuid`,
    isSite: (name) => `sites.name = ${text(name)}`,
    bytes: (value) => `(${value} COLLATE "C")`,
    unbytes: (value) => value,
    // In the locale C lower() knows the letters of ASCII alone.
    contains: (value, part) => `strpos(lower(${value} COLLATE "C"), ${text(foldCase(part))}) > 0`,
    digits: (number) => `${number}::text`,
    real: (number) => `${number}::float8`,
    isTrue: (flag) => flag,
    bucketWithin: (bucket, range) => `${bucket} BETWEEN ${ends(range).join(' AND ')}`,
    bucketMs: ms,
    buckets: (table, series, range) => skipping(table, series, ...ends(range)),
    recordWithin: (site, range) => `r.site = ${site} AND r.date BETWEEN ${ends(range).join(' AND ')}`,
    intervalOf: (bounds) => `width_bucket(r.date, ARRAY[${bounds.map(literal).join(', ')}]) - 1`,
  };
}

/** A point in time. @param at In ms since 1970. */
export function literal(at: number): string {
  return `'${new Date(Math.min(Math.max(at, FIRST), LAST)).toISOString()}'::timestamptz`;
}

function ends({ from, to }: Range): [string, string] {
  return [literal(Math.ceil(from)), literal(Math.floor(to))];
}

/** NUL, which no text of PostgreSQL holds, as what stands for it in all that is stored. */
function text(value: string): string {
  const hex = Buffer.from(value.replaceAll('\0', '\ufffd')).toString('hex');
  return `(convert_from(decode('${hex}', 'hex'), 'UTF8') COLLATE "C")`;
}
