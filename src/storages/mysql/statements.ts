import type { RecordBatch } from '../../batch.ts';
import type { TextColumn } from '../../record.ts';
import { MEASURES } from '../../storage/measures.ts';
import type { Agent } from '../sql/agents.ts';
import { addingUp, ENDPOINT_COLUMNS, RECORD_TEXTS } from '../sql/columns.ts';
import type { Endpoint } from '../sql/endpoints.ts';
import { type KeyCount, type PlacedGroup, periodNumber } from '../sql/key-budgets.ts';
import { type BucketDate, ORDINALS } from '../sql/server-writer.ts';
import type { BatchIds } from '../sql/shared-rows.ts';
import type { SumRows } from '../sql/sums.ts';
import type { Text } from '../sql/texts.ts';
import { KEEP } from './dialect.ts';
import { binary, datetime, datetimes, idOrNull, integer, text } from './literals.ts';
import type { RowsStatement } from './packets.ts';
import { TABLES } from './tables.ts';

/** Returns the quoted name of a table. */
type NameOf = (table: string) => string;

export function addTexts(table: NameOf, texts: readonly Text[], sweep: number): RowsStatement {
  return {
    head: `INSERT INTO ${table('strings')} (hash, text, seen) VALUES `,
    rows: texts.map((each) => `(${binary(each.hash)},${text(each.text)},${sweep})`),
    tail: ` ${KEEP}`,
  };
}

export function addEndpoints(table: NameOf, endpoints: readonly Endpoint[], sweep: number): RowsStatement {
  return {
    head: `INSERT INTO ${table('endpoints')} (${ENDPOINT_COLUMNS.join(', ')}, seen) VALUES `,
    rows: endpoints.map(({ values }) => `(${values.join(',')},${sweep})`),
    tail: ` ${KEEP}`,
  };
}

export function addAgents(table: NameOf, agents: readonly Agent[], sweep: number): RowsStatement {
  return {
    head: `INSERT INTO ${table('agents')} (string, digest, browser, version, platform, bot, device, seen) VALUES `,
    rows: agents.map(
      ({ string, digest, browser, version, platform, bot, device }) =>
        `(${string},${binary(digest)},${text(browser)},${text(version)},${text(platform)},${bot ? 1 : 0},${text(device)},${sweep})`,
    ),
    tail: ` ${KEEP}`,
  };
}

export function addBuckets(table: NameOf, site: number, dates: readonly BucketDate[]): RowsStatement {
  return {
    head: `INSERT INTO ${table('buckets')} (site, bucket, date) VALUES `,
    rows: dates.map(({ bucket, date }) => `(${site},${datetime(bucket)},${text(date)})`),
    tail: ' ON DUPLICATE KEY UPDATE site = site',
  };
}

export function addSums(table: NameOf, sums: SumRows): RowsStatement {
  return {
    head: `INSERT INTO ${table(TABLES[sums.period])} (series, bucket, \`key\`, ${MEASURES.join(', ')}) VALUES `,
    rows: rowsOfSums(sums),
    tail: ` ON DUPLICATE KEY UPDATE ${addingUp((measure) => `${measure} + VALUES(${measure})`)}`,
  };
}

function* rowsOfSums({ length, series, bucket, key, hits, transfer, errors, duration }: SumRows) {
  const date = datetimes();
  for (let i = 0; i < length; i++) {
    const sums = `${integer(hits[i]!)},${integer(transfer[i]!)},${integer(errors[i]!)},${integer(duration[i]!)}`;
    yield `(${series[i]},${date(bucket[i]!)},${key[i]},${sums})`;
  }
}

/** Origin that the records of a batch have in common. */
export interface Origin {
  site: number;
  /** Number of the journal. */
  journal: number;
  /** Ordinal of the first record. */
  first: number;
}

export function addRecords(
  table: NameOf,
  origin: Origin,
  records: RecordBatch,
  ids: BatchIds,
): RowsStatement {
  const columns = idColumns(records, ids);
  const { extra } = records;
  const named = [...columns.keys(), 'received', ...(extra.size > 0 ? ['extra'] : [])];
  return {
    head: `INSERT INTO ${table('requests')} (${[...COLUMNS, ...named].join(', ')}) VALUES `,
    rows: rowsOfRecords(origin, records, ids, [...columns.values()]),
    tail: '',
  };
}

/** Columns of every record, in the order of the rows. */
const COLUMNS = [
  ...['site', 'date', 'journal', 'ordinal', 'endpoint', 'status', 'url'],
  ...['content_length', 'duration'],
] as const;

/** A column of text IDs: the IDs within the batch, and the database IDs. */
type IdColumn = [locals: Int32Array, ids: Float64Array];

/** Returns the columns with an ID in at least one record. Parsing them takes most of a statement's time. */
function idColumns({ length, text }: RecordBatch, { texts, agents }: BatchIds): Map<string, IdColumn> {
  const { url: _, ...others } = RECORD_TEXTS;
  const columns: [string, IdColumn][] = [
    ...Object.entries(others).map(([column, name]): [string, IdColumn] => [
      name,
      [text[column as TextColumn], texts],
    ]),
    ['agent', [Int32Array.from(agents.keys()), agents]],
  ];
  const isFilled = ([locals, ids]: IdColumn) => locals.subarray(0, length).some((local) => ids[local] !== 0);
  return new Map(columns.filter(([, column]) => isFilled(column)));
}

function* rowsOfRecords(
  { site, journal, first }: Origin,
  records: RecordBatch,
  { texts, endpoints }: BatchIds,
  columns: readonly IdColumn[],
) {
  const {
    length,
    text: { url },
    date,
    duration,
    contentLength,
    status,
    extra,
  } = records;
  const dateOf = datetimes();
  for (let i = 0; i < length; i++) {
    let row = `(${site},${dateOf(date[i]!)},${journal},${(first + i) % ORDINALS},${endpoints[i]},${status[i]}`;
    row += `,${texts[url[i]!]},${integer(contentLength[i]!)},${integer(duration[i]!)}`;
    for (const [locals, of] of columns) row += `,${idOrNull(of[locals[i]!]!)}`;
    row += `,${records.receivedAt(i) ?? 'NULL'}`;
    if (extra.size > 0) row += `,${text(extra.get(i) ?? null)}`;
    yield `${row})`;
  }
}

/** Returns the statement that marks rows as looked up since a sweep began. */
export function markSeen(table: string, ids: readonly number[], sweep: number): RowsStatement {
  return { head: `UPDATE ${table} SET seen = ${sweep} WHERE id IN (`, rows: ids.map(String), tail: ')' };
}

/** Keys that a batch may have added to a bucket. */
export interface AddedKeys {
  place: PlacedGroup;
  /** Maximum number of added keys. */
  most: number;
}

export function addCounts(table: NameOf, counts: readonly AddedKeys[]): RowsStatement {
  return {
    head: `INSERT INTO ${table('key_counts')} (series, period, bucket, total, is_exact) VALUES `,
    rows: counts.map(
      ({ place: { series, group }, most }) =>
        `(${series},${periodNumber(group.period)},${datetime(group.bucket)},${most},0)`,
    ),
    tail: ' ON DUPLICATE KEY UPDATE total = total + VALUES(total), is_exact = 0',
  };
}

/** Stores the exact number of keys in a bucket. */
export function setCount(
  table: NameOf,
  { series, period, bucket, total }: Omit<KeyCount, 'isExact'>,
): string {
  return `UPDATE ${table('key_counts')} SET total = ${total}, is_exact = 1
    WHERE series = ${series} AND period = ${periodNumber(period)} AND bucket = ${datetime(bucket)}`;
}

/** Deletes those of some keys of a bucket that have no hits left. */
export function removeEmpty(
  table: NameOf,
  { series, group: { period, bucket } }: PlacedGroup,
  keys: readonly number[],
): RowsStatement {
  return {
    head: `DELETE FROM ${table(TABLES[period])} WHERE series = ${series} AND bucket = ${datetime(bucket)}
      AND hits = 0 AND \`key\` IN (`,
    rows: keys.map(String),
    tail: ')',
  };
}
