import type { Range } from '../../storage/contract.ts';
import { foldCase } from '../../storage/fold-case.ts';
import { inCalendar, type Row, type ServerDialect, skipping } from '../sql/dialect.ts';
import { hashOf } from '../sql/texts.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import type { Connection } from './session.ts';

/** Converts a timestamp to ms since 1970. */
export const ms = (column: string) => `(extract(epoch FROM ${column}) * 1000)::int8`;

/** Returns the PostgreSQL dialect. */
export function dialectOf(session: Connection): ServerDialect {
  return {
    query: (sql) => session.limited<Row>(sql),
    table: (name) => `${session.schema}.${name}`,
    keep: 'ON CONFLICT DO NOTHING',
    sums: PERIOD_NAMES,
    records: 'records',
    // No hint is needed: the planner knows the sizes of both sides.
    join: 'JOIN',
    once: 'MATERIALIZED',
    hashes: true,
    jsonOf: (column) => `json_agg(${column})::text`,
    text,
    isText: (value) => `strings.hash = '${hashOf(value).toString('hex')}'::uuid`,
    isSite: (name) => `sites.name = ${text(name)}`,
    bytes: (value) => `(${value} COLLATE "C")`,
    unbytes: (value) => value,
    // With the C collation, lower() converts only ASCII letters.
    contains: (value, part) => `strpos(lower(${value} COLLATE "C"), ${text(foldCase(part))}) > 0`,
    digits: (number) => `${number}::text`,
    real: (number) => `${number}::float8`,
    isTrue: (flag) => flag,
    bucketWithin: (bucket, range) => `${bucket} BETWEEN ${ends(range).join(' AND ')}`,
    bucketMs: ms,
    buckets: (table, series, range) => skipping(table, series, ...ends(range)),
    recordWithin: (site, range) => `r.site = ${site} AND r.date BETWEEN ${ends(range).join(' AND ')}`,
    // The planner may sort all records beyond the position instead if the comparison is written as conditions.
    isBeyond: (sign, { ms, journal, ordinal }) =>
      `(r.date, r.journal, r.ordinal) ${sign} (${literal(ms)}, ${journal}, ${ordinal})`,
    intervalOf: (bounds) => `width_bucket(r.date, ARRAY[${bounds.map(literal).join(', ')}]) - 1`,
  };
}

/** Returns the literal of a timestamp in ms since 1970. */
function literal(at: number): string {
  return `'${new Date(inCalendar(at)).toISOString()}'::timestamptz`;
}

function ends({ from, to }: Range): [string, string] {
  return [literal(Math.ceil(from)), literal(Math.floor(to))];
}

/**
 * Returns a text literal. PostgreSQL cannot store NUL; it is replaced with the same substitute as in stored
 * texts.
 */
function text(value: string): string {
  const hex = Buffer.from(value.replaceAll('\0', '\ufffd')).toString('hex');
  return `(convert_from(decode('${hex}', 'hex'), 'UTF8') COLLATE "C")`;
}
