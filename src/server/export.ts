import { type Cell, csv } from '../formats/csv.ts';
import { RECORD_CELLS } from '../formats/record-cells.ts';
import type { Bucket, RecordsOptions, SeriesOptions, TopOptions, UsageQuery } from '../query/query.ts';
import type { UsageRecord } from '../record.ts';
import type { KeyRow } from '../storages/contract.ts';
import { type Calendar, calendar } from '../summaries/periods.ts';

/** A download: rows in pieces, whose number has no limit. */
export interface Lines<Row = never> {
  /** The file's name without its ending. */
  name: string;
  /** What a row has, as a table. */
  cells: Readonly<Record<string, (row: Row, zone: Calendar) => Cell>>;
  pieces: AsyncIterable<{ rows: readonly Row[]; timeZone: string }>;
}

/** Rows that are read at once. */
const KEYS = 50_000;
const RECORDS = 5_000;

const MEASURES = {
  hits: ({ hits }) => hits,
  transfer: ({ transfer }) => transfer,
  errors: ({ errors }) => errors,
  duration: ({ duration }) => duration,
} satisfies Lines<KeyRow | Bucket>['cells'];

export function bucketLines(query: UsageQuery, options: SeriesOptions): Lines<Bucket> {
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

export function topLines(query: UsageQuery, summary: string, options: TopOptions): Lines<KeyRow> {
  async function* pieces() {
    const { limit = 0 } = options;
    for (let page = options.page ?? 1; ; page++) {
      const wanted = { ...options, compare: false, limit: limit || KEYS, page };
      const { rows, timeZone } = await query.top(summary, wanted);
      yield { rows: rows.map(({ previous: _, ...row }) => row), timeZone };
      if (limit || rows.length < KEYS) return;
    }
  }
  return { name: summary, cells: { key: ({ key }) => key, ...MEASURES }, pieces: pieces() };
}

export function recordLines(query: UsageQuery, options: RecordsOptions): Lines<UsageRecord> {
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
  return { name: 'requests', cells: RECORD_CELLS, pieces: pieces() };
}

export async function* csvOf<Row>({ cells, pieces }: Lines<Row>): AsyncGenerator<string> {
  const [heading] = csv(Object.keys(cells), []);
  yield heading!;
  for await (const { rows, timeZone } of pieces) {
    const zone = calendar(timeZone);
    const [, ...lines] = csv(
      [],
      rows.map((row) => Object.values(cells).map((cell) => cell(row, zone))),
    );
    yield lines.join('');
  }
}

export async function* ndjsonOf<Row>({ pieces }: Lines<Row>): AsyncGenerator<string> {
  for await (const { rows } of pieces) yield rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}
