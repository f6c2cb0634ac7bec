import type { RecordBatch } from '../../batch.ts';
import type { Agent } from '../sql/agents.ts';
import type { Endpoint } from '../sql/endpoints.ts';
import type { SumRows } from '../sql/sums.ts';
import type { Text } from '../sql/texts.ts';
import { binary, datetime, datetimes, idOrNull, integer, text } from './literals.ts';
import type { RowsStatement } from './packets.ts';
import { TABLES } from './tables.ts';

/** Returns the quoted name of a table. */
type NameOf = (table: string) => string;

/** Number of distinct ordinals within a millisecond. Records of one millisecond are sorted by them. */
const ORDINALS = 2 ** 31;
/** Keeps an existing row unchanged. `IGNORE` would hide other errors too. */
const KEEP = ' ON DUPLICATE KEY UPDATE ';

export function addTexts(table: NameOf, texts: readonly Text[]): RowsStatement {
  return {
    head: `INSERT INTO ${table('strings')} (hash, text) VALUES `,
    rows: texts.map((each) => `(${binary(each.hash)},${text(each.text)})`),
    tail: `${KEEP}id = id`,
  };
}

export function addEndpoints(table: NameOf, endpoints: readonly Endpoint[]): RowsStatement {
  return {
    head: `INSERT INTO ${table('endpoints')} (server_name, method, protocol, route, blueprint, credentials) VALUES `,
    rows: endpoints.map(
      ({ serverName, method, protocol, route, blueprint, credentials }) =>
        `(${serverName},${method},${protocol},${route},${blueprint},${credentials})`,
    ),
    tail: `${KEEP}id = id`,
  };
}

export function addAgents(table: NameOf, agents: readonly Agent[]): RowsStatement {
  return {
    head: `INSERT INTO ${table('agents')} (string, digest, browser, version, platform, bot) VALUES `,
    rows: agents.map(
      ({ string, digest, browser, version, platform, bot }) =>
        `(${string},${binary(digest)},${text(browser)},${text(version)},${text(platform)},${bot ? 1 : 0})`,
    ),
    tail: `${KEEP}id = id`,
  };
}

/**
 * Adds buckets.
 * @param dates The buckets, and their local dates as text.
 */
export function addBuckets(
  table: NameOf,
  site: number,
  dates: readonly { bucket: number; date: string }[],
): RowsStatement {
  return {
    head: `INSERT INTO ${table('buckets')} (site, bucket, date) VALUES `,
    rows: dates.map(({ bucket, date }) => `(${site},${datetime(bucket)},${text(date)})`),
    tail: `${KEEP}site = site`,
  };
}

export function addSums(table: NameOf, sums: SumRows): RowsStatement {
  const plus = (column: string) => `${column} = ${column} + VALUES(${column})`;
  return {
    head: `INSERT INTO ${table(TABLES[sums.period])} (series, bucket, \`key\`, hits, transfer, errors, duration) VALUES `,
    rows: rowsOfSums(sums),
    tail: `${KEEP}${['hits', 'transfer', 'errors', 'duration'].map(plus).join(', ')}`,
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

/**
 * Adds records.
 * @param ids IDs of the batch's texts.
 * @param endpoints Endpoint of each record.
 * @param agents Agent of each record, or 0.
 */
export function addRecords(
  table: NameOf,
  origin: Origin,
  records: RecordBatch,
  ids: Float64Array,
  endpoints: Int32Array,
  agents: Float64Array,
): RowsStatement {
  const columns = idColumns(records, ids, agents);
  const { extra } = records;
  const named = [...columns.keys(), ...(extra.size > 0 ? ['extra'] : [])];
  return {
    head: `INSERT INTO ${table('requests')} (${[...COLUMNS, ...named].join(', ')}) VALUES `,
    rows: rowsOfRecords(origin, records, ids, endpoints, [...columns.values()]),
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
function idColumns(
  { length, text }: RecordBatch,
  ids: Float64Array,
  agents: Float64Array,
): Map<string, IdColumn> {
  const columns: [string, IdColumn][] = [
    ['remote_addr', [text.remoteAddr, ids]],
    ['forwarded_for', [text.forwardedFor, ids]],
    ['agent', [Int32Array.from(agents.keys()), agents]],
    ['language', [text.language, ids]],
    ['referrer', [text.referrer, ids]],
    ['username', [text.username, ids]],
    ['visitor', [text.visitor, ids]],
    ['country', [text.country, ids]],
  ];
  const isFilled = ([locals, ids]: IdColumn) => locals.subarray(0, length).some((local) => ids[local] !== 0);
  return new Map(columns.filter(([, column]) => isFilled(column)));
}

function* rowsOfRecords(
  { site, journal, first }: Origin,
  { length, text: { url }, date, duration, contentLength, status, extra }: RecordBatch,
  ids: Float64Array,
  endpoints: Int32Array,
  columns: readonly IdColumn[],
) {
  const dateOf = datetimes();
  for (let i = 0; i < length; i++) {
    let row = `(${site},${dateOf(date[i]!)},${journal},${(first + i) % ORDINALS},${endpoints[i]},${status[i]}`;
    row += `,${ids[url[i]!]},${integer(contentLength[i]!)},${integer(duration[i]!)}`;
    for (const [locals, of] of columns) row += `,${idOrNull(of[locals[i]!]!)}`;
    if (extra.size > 0) row += `,${text(extra.get(i) ?? null)}`;
    yield `${row})`;
  }
}
