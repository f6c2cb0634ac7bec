import { type Cell, csv } from '../formats/csv.ts';
import { keyLabel } from '../formats/labels.ts';
import { RECORD_CELLS } from '../formats/record-cells.ts';
import { recordJson } from '../formats/record-json.ts';
import { invalid } from '../query/invalid.ts';
import type { Bucket, RecordsOptions, SeriesOptions, TopOptions } from '../query/query.ts';
import type { UsageRecord } from '../record.ts';
import type { KeyRow } from '../storage/contract.ts';
import { type Calendar, calendar } from '../summaries/periods.ts';
import type { Queries } from './queries.ts';

/** A download: an unlimited number of rows, in chunks. */
export interface Lines<Row = never> {
  /** File name without its extension. */
  name: string;
  /** Columns of the table, and the cell of each for a row. */
  cells: Readonly<Record<string, (row: Row, zone: Calendar) => Cell>>;
  /** Returns the contents of a line of NDJSON. Defaults to the row itself. */
  json?: (row: Row, zone: Calendar) => unknown;
  pieces: AsyncIterable<{ rows: readonly Row[]; timeZone: string }>;
}

/** Number of rows read per query. */
const KEYS_PER_QUERY = 50_000;
const RECORDS_PER_QUERY = 1_000;
/** Number of rows formatted before yielding to the app. */
const ROWS_PER_SLICE = 500;

const MEASURES = {
  hits: ({ hits }) => hits,
  transfer: ({ transfer }) => transfer,
  errors: ({ errors }) => errors,
  duration: ({ duration }) => duration,
} satisfies Lines<KeyRow | Bucket>['cells'];

export function bucketLines(query: Queries, options: SeriesOptions): Lines<Bucket> {
  async function* pieces() {
    const { buckets, timeZone } = await query.series({ ...options, compare: false });
    yield { rows: buckets, timeZone };
  }
  return {
    name: 'series',
    cells: {
      date: ({ date }) => date,
      ...MEASURES,
      visitors: ({ visitors }) => visitors,
      bots: ({ bots }) => bots,
    },
    pieces: pieces(),
  };
}

export function topLines(query: Queries, summary: string, options: TopOptions): Lines<KeyRow> {
  if (!options.limit && (options.page ?? 1) > 1) {
    throw invalid('page', options.page, '1, since without a limit all are on one page');
  }
  async function* pieces() {
    const { limit = 0 } = options;
    let known = 0;
    let read = 0;
    for (let page = options.page ?? 1; ; page++) {
      const wanted = { ...options, compare: false, limit: limit || KEYS_PER_QUERY, page };
      const { rows, count, timeZone } = await query.top(summary, wanted);
      yield { rows: rows.map(({ previous: _, ...row }) => row), timeZone };
      if (limit) return;
      known = Math.max(known, count);
      read += rows.length;
      if (rows.length === KEYS_PER_QUERY) continue;
      // Fewer keys than on the first page are not the end: for example, the database was dropped.
      if (read < known) throw new Error(`keys deleted before they were read: ${known - read} of ${known}`);
      return;
    }
  }
  return { name: summary, cells: { key: ({ key }) => keyLabel(key), ...MEASURES }, pieces: pieces() };
}

export function recordLines(query: Queries, options: RecordsOptions): Lines<UsageRecord> {
  async function* pieces() {
    let { after, limit: left = Number.POSITIVE_INFINITY } = options;
    while (left > 0) {
      const wanted = {
        ...options,
        ...(after !== undefined && { after }),
        limit: Math.min(left, RECORDS_PER_QUERY),
      };
      const { records, timeZone, next } = await query.records(wanted);
      yield { rows: records, timeZone };
      if (next === null) return;
      after = next;
      left -= records.length;
    }
  }
  return { name: 'requests', cells: RECORD_CELLS, json: recordJson, pieces: pieces() };
}

export async function* csvOf<Row>({ cells, pieces }: Lines<Row>): AsyncGenerator<string> {
  // The heading is sent with the first rows, so that an error before them can still change the response.
  let [heading = ''] = csv(Object.keys(cells), []);
  for await (const { rows, timeZone } of pieces) {
    const zone = calendar(timeZone);
    for (const some of parts(rows)) {
      const [, ...lines] = csv(
        [],
        some.map((row) => Object.values(cells).map((cell) => cell(row, zone))),
      );
      yield heading + lines.join('');
      heading = '';
    }
  }
  if (heading !== '') yield heading;
}

export async function* ndjsonOf<Row>({ pieces, json = (row) => row }: Lines<Row>): AsyncGenerator<string> {
  for await (const { rows, timeZone } of pieces) {
    const zone = calendar(timeZone);
    for (const some of parts(rows)) yield some.map((row) => `${JSON.stringify(json(row, zone))}\n`).join('');
  }
}

function* parts<Row>(rows: readonly Row[]): Generator<readonly Row[]> {
  for (let from = 0; from < rows.length; from += ROWS_PER_SLICE)
    yield rows.slice(from, from + ROWS_PER_SLICE);
}
