import type { Period } from '../../summaries/periods.ts';
import type {
  Keys,
  KeysRequest,
  Measures,
  Range,
  SeriesRequest,
  SeriesRow,
  Span,
  Total,
  TotalRequest,
} from '../contract.ts';
import { MEASURES, measuresOf, noMeasures } from '../measures.ts';
import { type Dialect, sumsOf } from './dialect.ts';
import { askPage } from './page.ts';

interface Series {
  id: number;
  /** The id of the key; 0 for null, `undefined` for all. */
  key: number | undefined;
}

/** A table by its columns: keys by the ids of their texts, 0 for null, and their sums. */
export type IdColumns = Record<'id' | keyof Measures, readonly number[]>;

const ID_COLUMNS = ['id', ...MEASURES] as const;
/** Buckets of keys that are handed over, where adding them up takes the engine longer. */
const MOST_ROWS = 300_000;

/** Ids that are looked up with one statement. */
const LOOKED_UP = 5_000;

/** Answers from the sums. */
export class SumQuestions {
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  async keys({ site, summary, spans, ...page }: KeysRequest): Promise<Keys> {
    const series = await this.#series(site, summary, undefined);
    if (!series || spans.length === 0) return { rows: [], count: 0, total: noMeasures() };
    const sums = `SELECT t.k, ${sumsOf('t')} FROM (${this.#rows(series, spans)}) t GROUP BY t.k`;
    return askPage(this.#dialect, sums, 'ids', page);
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

  /**
   * The keys that are there, each of them once or several times; `undefined` where there are more than `most`.
   * @param request `less`: spans whose sums are taken off.
   * @param isRaw Whether hardly any key has several buckets: nothing is added up, and each bucket counts as a key.
   */
  async ids(
    { site, summary, spans, less = [] }: Omit<TotalRequest, 'target'> & { less?: readonly Span[] },
    most: number,
    isRaw: boolean,
  ): Promise<IdColumns | undefined> {
    const series = await this.#series(site, summary, undefined);
    if (!series) return { id: [], hits: [], transfer: [], errors: [], duration: [] };
    const { hashes, jsonOf } = this.#dialect;
    const added = [this.#rows(series, spans), this.#rows(series, less, '-')].filter((rows) => rows !== '');
    const rows = `(${added.join(' UNION ALL ')}) t`;
    if (isRaw || (jsonOf && !hashes)) {
      const each = MEASURES.map((name) => `t.${name}`).join(', ');
      const limit = isRaw ? most : MOST_ROWS;
      const columns = await this.#columns(`SELECT t.k AS id, ${each} FROM ${rows} LIMIT ${limit + 1}`);
      const { length } = columns.id;
      if (length <= most || (length <= limit && new Set(columns.id).size <= most)) return columns;
      if (isRaw || length <= limit) return undefined;
    }
    const columns = await this.#columns(
      `SELECT t.k AS id, ${sumsOf('t')} FROM ${rows} GROUP BY t.k HAVING SUM(t.hits) <> 0 LIMIT ${most + 1}`,
    );
    return columns.id.length > most ? undefined : columns;
  }

  /** @param table A statement that selects `ID_COLUMNS`. */
  async #columns(table: string): Promise<IdColumns> {
    const { query, hint = '', real, jsonOf } = this.#dialect;
    const select = (of: (column: string) => string) =>
      query(
        `SELECT ${hint} ${ID_COLUMNS.map((name) => `${of(`r.${name}`)} AS ${name}`).join(', ')} FROM (${table}) r`,
      );
    const columns = (of: (name: keyof IdColumns) => number[]): IdColumns => ({
      id: of('id'),
      hits: of('hits'),
      transfer: of('transfer'),
      errors: of('errors'),
      duration: of('duration'),
    });
    if (jsonOf) {
      const [row] = await select(jsonOf);
      return columns((name) => JSON.parse((row![name] as string | null) ?? '[]') as number[]);
    }
    // Numbers with fractions come as such, not as text or BigInt, from most drivers.
    const rows = await select(real);
    return columns((name) => rows.map((row) => Number(row[name])));
  }

  /** A text as it is searched. */
  fold(text: string): string {
    return this.#dialect.fold(text);
  }

  /** The texts behind ids. */
  async texts(ids: readonly number[]): Promise<Map<number, string>> {
    const { query, table, hint = '', jsonOf } = this.#dialect;
    const texts = new Map<number, string>();
    for (let from = 0; from < ids.length; from += LOOKED_UP) {
      const some = ids.slice(from, from + LOOKED_UP).join(', ');
      const [id, text] = ['strings.id', 'strings.text'].map((column) => (jsonOf ? jsonOf(column) : column));
      const rows = await query(
        `SELECT ${hint} ${id} AS id, ${text} AS text FROM ${table('strings')} strings WHERE strings.id IN (${some})`,
      );
      for (const row of rows) {
        if (!jsonOf) texts.set(Number(row.id), row.text as string);
        else if (row.id !== null) {
          const found = JSON.parse(row.text as string) as string[];
          (JSON.parse(row.id as string) as number[]).forEach((each, i) => {
            texts.set(each, found[i]!);
          });
        }
      }
    }
    return texts;
  }

  /** `undefined` where nothing of it is stored, or not that key. */
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

  /** The rows of all spans, with the ids of their keys as `k`. */
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
