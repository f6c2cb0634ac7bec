import type { KeyIdsRequest, SumSource } from '../../storage/cached-sums.ts';
import type {
  Keys,
  KeysRequest,
  Range,
  SeriesRequest,
  SeriesRow,
  Span,
  Total,
  TotalRequest,
} from '../../storage/contract.ts';
import type { KeyColumns } from '../../storage/key-table.ts';
import { MEASURES, measuresOf, noMeasures } from '../../storage/measures.ts';
import type { Period } from '../../summaries/periods.ts';
import { columnsOf } from './columns-of.ts';
import { type Dialect, sumsOf } from './dialect.ts';
import { queryPage } from './page.ts';

interface Series {
  id: number;
  /** ID of the key: 0 for null, `undefined` for all keys. */
  key: number | undefined;
}

const ID_COLUMNS = ['id', ...MEASURES] as const;
/** Maximum number of key buckets to transfer in cases where the engine adds them up more slowly. */
const MAX_ROWS = 300_000;

/** Number of IDs looked up per statement. */
const IDS_PER_STATEMENT = 5_000;

/** Runs queries on the sums. */
export class SumQueries implements SumSource {
  readonly fewKeys = 1_000;
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  async keys({ site, summary, spans, ...page }: KeysRequest): Promise<Keys> {
    const series = await this.#series(site, summary, undefined);
    if (!series || spans.length === 0) return { rows: [], count: 0, total: noMeasures() };
    const sums = `SELECT t.k, ${sumsOf('t')} FROM (${this.#rows(series, spans)}) t GROUP BY t.k`;
    return queryPage(this.#dialect, sums, 'ids', page);
  }

  async total({ site, summary, spans, target }: TotalRequest): Promise<Total> {
    const series = await this.#series(site, summary, target);
    if (!series || spans.length === 0) return { ...noMeasures(), keys: 0 };
    const { query, hint = '', hashes } = this.#dialect;
    const rows = this.#rows(series, spans);
    const keys = hashes ? `SELECT t.k, ${sumsOf('t')} FROM (${rows}) t GROUP BY t.k` : rows;
    const different = hashes ? 'COUNT(NULLIF(t.k, 0))' : 'COUNT(DISTINCT NULLIF(t.k, 0))';
    const [row] = await query(`SELECT ${hint} ${sumsOf('t')}, ${different} AS different FROM (${keys}) t`);
    return { ...measuresOf(row!), keys: Number(row!.different) };
  }

  async series({ site, summary, period, target, from, to }: SeriesRequest): Promise<SeriesRow[]> {
    const series = await this.#series(site, summary, target);
    if (!series) return [];
    const rows = await this.#dialect.query(
      `SELECT ${this.#dialect.hint ?? ''} ${this.#dialect.bucketMs('t.bucket')} AS ms, ${sumsOf('t')}, COUNT(NULLIF(t.k, 0)) AS different
       FROM (${this.#rows(series, [{ period, from, to }])}) t GROUP BY t.bucket ORDER BY t.bucket`,
    );
    return rows.map((row) => ({ bucket: Number(row.ms), ...measuresOf(row), keys: Number(row.different) }));
  }

  /** Returns the stored keys. With `isRaw` nothing is added up, and each bucket counts as a key. */
  async ids(
    { site, summary, spans, less = [] }: KeyIdsRequest,
    most: number,
    isRaw: boolean,
  ): Promise<KeyColumns | undefined> {
    const series = await this.#series(site, summary, undefined);
    if (!series) return { id: [], hits: [], transfer: [], errors: [], duration: [] };
    const { hashes, jsonOf } = this.#dialect;
    const added = [this.#rows(series, spans), this.#rows(series, less, '-')].filter((rows) => rows !== '');
    const rows = `(${added.join(' UNION ALL ')}) t`;
    if (isRaw || (jsonOf && !hashes)) {
      const each = MEASURES.map((name) => `t.${name}`).join(', ');
      const limit = isRaw ? most : MAX_ROWS;
      const columns = await this.#idColumns(`SELECT t.k AS id, ${each} FROM ${rows} LIMIT ${limit + 1}`);
      const { length } = columns.id;
      if (length <= most || (length <= limit && new Set(columns.id).size <= most)) return columns;
      if (isRaw || length <= limit) return undefined;
    }
    const columns = await this.#idColumns(
      `SELECT t.k AS id, ${sumsOf('t')} FROM ${rows} GROUP BY t.k HAVING SUM(t.hits) <> 0 LIMIT ${most + 1}`,
    );
    return columns.id.length > most ? undefined : columns;
  }

  /** Returns keys, by their IDs, and their sums as whole columns. */
  async #idColumns(statement: string): Promise<KeyColumns> {
    const { id, hits, transfer, errors, duration } = await columnsOf(this.#dialect, ID_COLUMNS, statement);
    const numbers = (values: readonly unknown[]) => values.map(Number);
    return {
      id: numbers(id),
      hits: numbers(hits),
      transfer: numbers(transfer),
      errors: numbers(errors),
      duration: numbers(duration),
    };
  }

  /** Looks up texts by their IDs. */
  async texts(ids: readonly number[]): Promise<Map<number, string>> {
    const strings = this.#dialect.table('strings');
    const texts = new Map<number, string>();
    for (let from = 0; from < ids.length; from += IDS_PER_STATEMENT) {
      const some = ids.slice(from, from + IDS_PER_STATEMENT).join(', ');
      const found = await columnsOf(
        this.#dialect,
        ['id', 'text'],
        `SELECT strings.id, strings.text FROM ${strings} strings WHERE strings.id IN (${some})`,
      );
      found.id.forEach((id, i) => {
        texts.set(Number(id), found.text[i] as string);
      });
    }
    return texts;
  }

  /** Returns the series, or `undefined` if the summary or the key is not stored. */
  async #series(
    site: string,
    summary: string,
    target: string | null | undefined,
  ): Promise<Series | undefined> {
    const { query, table, text, isSite, isText } = this.#dialect;
    const key =
      typeof target === 'string'
        ? `(SELECT strings.id FROM ${table('strings')} strings WHERE ${isText(target)})`
        : 'NULL';
    const [row] = await query(
      `SELECT series.id, ${key} AS target
       FROM ${table('series')} series JOIN ${table('sites')} sites ON sites.id = series.site
       WHERE ${isSite(site)} AND series.summary = ${text(summary)}`,
    );
    if (!row || (typeof target === 'string' && row.target === null)) return undefined;
    return { id: Number(row.id), key: target === undefined ? undefined : Number(row.target ?? 0) };
  }

  /** Selects the rows of all spans, with the IDs of their keys as `k`. */
  #rows(series: Series, spans: readonly Span[], sign: '' | '-' = ''): string {
    return spans.map(({ period, ...range }) => this.#rowsOf(series, period, range, sign)).join(' UNION ALL ');
  }

  #rowsOf({ id, key }: Series, period: Period, range: Range, sign: '' | '-'): string {
    const { table, sums, join, bucketWithin, buckets } = this.#dialect;
    const name = table(sums[period]);
    const columns = ['s.bucket', ...MEASURES.map((column) => `${sign}s.${column} AS ${column}`)].join(', ');
    if (key === undefined) {
      return `SELECT s.key AS k, ${columns} FROM ${name} s
        WHERE s.series = ${id} AND ${bucketWithin('s.bucket', range)}`;
    }
    return `SELECT s.key AS k, ${columns} FROM (${buckets(name, id, range)}) b
      ${join} ${name} s ON s.series = ${id} AND s.bucket = b.bucket AND s.key = ${key}`;
  }
}
