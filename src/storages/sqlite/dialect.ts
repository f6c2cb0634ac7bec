import type { DatabaseSync } from 'node:sqlite';
import type { Range } from '../../storage/contract.ts';
import { foldCase } from '../../storage/fold-case.ts';
import { type Dialect, skipping } from '../sql/dialect.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import { DATE_SHIFT } from './schema.ts';

/** Latest date that a record ID can hold: 2^43 ms, in the year 2248. */
export const LAST_DATE = 2 ** (63 - DATE_SHIFT) - 1;

/** Returns the SQLite dialect. */
export function dialectOf(database: DatabaseSync): Dialect {
  return {
    async query(sql) {
      const statement = database.prepare(sql);
      // Sums may exceed 2^53. As BigInt they can be rounded; otherwise SQLite refuses them.
      statement.setReadBigInts(true);
      return statement.all();
    },
    table: (name) => name,
    keep: 'ON CONFLICT DO NOTHING',
    sums: PERIOD_NAMES,
    records: 'records',
    join: 'CROSS JOIN',
    once: 'MATERIALIZED',
    jsonOf: (column) => `json_group_array(${column})`,
    text,
    isText: (value) => `strings.text = ${text(value)}`,
    isSite: (name) => `sites.name = ${text(name)}`,
    bytes: (value) => value,
    unbytes: (value) => value,
    // SQLite's own lower() converts only ASCII letters.
    contains: (value, part) => `instr(lower(${value}), ${text(foldCase(part))}) > 0`,
    digits: (number) => `CAST(${number} AS TEXT)`,
    real: (number) => `CAST(${number} AS REAL)`,
    isTrue: (flag) => `${flag} = 1`,
    bucketWithin: (bucket, range) => `${bucket} BETWEEN ${seconds(range).join(' AND ')}`,
    bucketMs: (bucket) => `${bucket} * 1000`,
    buckets: (table, series, range) => skipping(table, series, ...seconds(range)),
    recordWithin: (_, range) => `r.id BETWEEN ${idsOf(range)}`,
    endpointOf: (site) => `site = ${site}`,
  };
}

/** Returns a text literal, whatever characters the text contains. */
function text(value: string): string {
  return `CAST(x'${Buffer.from(value).toString('hex')}' AS TEXT)`;
}

/** Returns the first and the last second of a range. */
function seconds({ from, to }: Range): [string, string] {
  return [
    String(Math.max(Math.ceil(from / 1000), -LAST_DATE)),
    String(Math.min(Math.floor(to / 1000), LAST_DATE)),
  ];
}

/** Returns the lowest and highest record IDs possible in a range. */
function idsOf({ from, to }: Range): string {
  const first = BigInt(Math.min(Math.max(from, 0), LAST_DATE)) << BigInt(DATE_SHIFT);
  const last = ((BigInt(Math.max(Math.min(to, LAST_DATE), -1)) + 1n) << BigInt(DATE_SHIFT)) - 1n;
  return `${first} AND ${last}`;
}
