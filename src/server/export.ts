import { type Cell, csv } from '../formats/csv.ts';
import { RECORD_CELLS } from '../formats/record-cells.ts';
import { recordJson } from '../formats/record-json.ts';
import { invalid } from '../query/invalid.ts';
import type { Bucket, RecordsOptions, SeriesOptions, TopOptions } from '../query/query.ts';
import type { UsageRecord } from '../record.ts';
import type { KeyRow } from '../storage/contract.ts';
import { type Calendar, calendar } from '../summaries/periods.ts';
import type { Questions } from './api.ts';

/** A download: rows in pieces, whose number has no limit. */
export interface Lines<Row = never> {
  /** The file's name without its ending. */
  name: string;
  /** What a row has, as a table. */
  cells: Readonly<Record<string, (row: Row, zone: Calendar) => Cell>>;
  /** Returns what a line of NDJSON holds. Defaults to the row itself. */
  json?: (row: Row, zone: Calendar) => unknown;
  pieces: AsyncIterable<{ rows: readonly Row[]; timeZone: string }>;
}

/** Rows that are read at once. */
const KEYS = 50_000;
const RECORDS = 1_000;
/** Rows that are made text of at once: between them the app has its turn. */
const WRITTEN = 500;

const MEASURES = {
  hits: ({ hits }) => hits,
  transfer: ({ transfer }) => transfer,
  errors: ({ errors }) => errors,
  duration: ({ duration }) => duration,
} satisfies Lines<KeyRow | Bucket>['cells'];

export function bucketLines(query: Questions, options: SeriesOptions): Lines<Bucket> {
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

export function topLines(query: Questions, summary: string, options: TopOptions): Lines<KeyRow> {
  if (!options.limit && (options.page ?? 1) > 1) {
    throw invalid('page', options.page, '1, since without a limit all are on one page');
  }
  async function* pieces() {
    const { limit = 0 } = options;
    let known = 0;
    let read = 0;
    for (let page = options.page ?? 1; ; page++) {
      const wanted = { ...options, compare: false, limit: limit || KEYS, page };
      const { rows, count, timeZone } = await query.top(summary, wanted);
      yield { rows: rows.map(({ previous: _, ...row }) => row), timeZone };
      if (limit) return;
      known = Math.max(known, count);
      read += rows.length;
      if (rows.length === KEYS) continue;
      // Keys that are gone since the first page, such as those of a database that was dropped, are not the end.
      if (read < known) throw new Error(`${known - read} of ${known} keys were gone before they were read`);
      return;
    }
  }
  return { name: summary, cells: { key: ({ key }) => key, ...MEASURES }, pieces: pieces() };
}

export function recordLines(query: Questions, options: RecordsOptions): Lines<UsageRecord> {
  async function* pieces() {
    let { after, limit: left = Number.POSITIVE_INFINITY } = options;
    while (left > 0) {
      const wanted = { ...options, ...(after !== undefined && { after }), limit: Math.min(left, RECORDS) };
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
  // With the first rows, not before them: that they cannot be had is told by another answer.
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
  for (let from = 0; from < rows.length; from += WRITTEN) yield rows.slice(from, from + WRITTEN);
}
