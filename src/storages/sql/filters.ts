import { isClassColumn, REQUEST_CLASSES, type TextColumn } from '../../record.ts';
import type {
  Condition,
  Keys,
  Matching,
  MatchingKeysRequest,
  MatchingRow,
  MatchingSeriesRequest,
  Range,
} from '../../storage/contract.ts';
import { measuresOf, noMeasures } from '../../storage/measures.ts';
import { ENDPOINT_TEXTS, RECORD_TEXTS } from './columns.ts';
import { type Dialect, sumsOf } from './dialect.ts';
import { queryPage } from './page.ts';

/** Location of each text ID: in the record or in its endpoint. */
const RECORD_IDS: Partial<Record<TextColumn, string>> = RECORD_TEXTS;
const ENDPOINT_IDS: Partial<Record<TextColumn, string>> = ENDPOINT_TEXTS;
/** Text columns that come from the parsed user agent. */
type AgentColumn = 'browser' | 'version' | 'platform' | 'device';

/** Measures of records `r`. */
const OF_RECORDS = `COUNT(*) AS hits, SUM(r.content_length) AS transfer,
  SUM(CASE WHEN r.status >= 500 THEN 1 ELSE 0 END) AS errors, SUM(r.duration) AS duration`;

/** Condition that no record can meet. */
const NONE = Symbol('none');

/** Number of texts found by a search up to which only their records are read. */
const MAX_SEARCHED = 1_000;

/** Conditions on records `r`, except their dates. */
interface Filter {
  site: number;
  conditions: string[];
}

/**
 * Runs queries with filters on the records. Texts are looked up first, so that the engine compares only IDs.
 */
export class FilterQueries {
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  async matchingKeys({ column, ...request }: MatchingKeysRequest): Promise<Keys> {
    const none = { rows: [], count: 0, total: noMeasures() };
    const where = await this.where(request);
    if (where === undefined) return none;
    const search = await this.#search(column, request.search);
    if (search === NONE) return none;
    const { sums, kind } = this.#sums(column, search === undefined ? where : `${where} AND ${search}`);
    return queryPage(this.#dialect, sums, kind, {
      ...request,
      search: search === undefined ? request.search : undefined,
    });
  }

  /**
   * Returns a condition on records `r` whose text in a column contains the search. Returns `undefined` if there are many
   * such texts, or the texts of the column cannot be looked up first. Then all records are grouped before.
   */
  async #search(column: TextColumn, search: string | undefined): Promise<string | undefined | typeof NONE> {
    if (search === undefined || !TEXT_ID_COLUMNS.has(column)) return undefined;
    const { query, table, contains } = this.#dialect;
    const found = await query(
      `SELECT strings.id FROM ${table('strings')} strings WHERE ${contains('strings.text', search)}
       LIMIT ${MAX_SEARCHED + 1}`,
    );
    if (found.length === 0) return NONE;
    if (found.length > MAX_SEARCHED) return undefined;
    const ids = found.map(({ id }) => Number(id)).join(', ');
    if (column === 'agent') return this.#agents(`string IN (${ids})`, false);
    const inEndpoint = ENDPOINT_IDS[column];
    return inEndpoint === undefined
      ? `${this.#idInRecord(column)} IN (${ids})`
      : `r.endpoint IN (SELECT id FROM ${table('endpoints')} WHERE ${inEndpoint} IN (${ids}))`;
  }

  async matchingSeries({ bounds, ...request }: MatchingSeriesRequest): Promise<MatchingRow[]> {
    const filter = await this.#filter(request);
    if (!filter) return [];
    const starts = bounds.map(Math.ceil);
    const range = cut(request, { from: starts[0]!, to: starts.at(-1)! - 1 });
    const rows = this.#dialect.intervalOf
      ? await this.#intervals(filter, range, this.#dialect.intervalOf(starts))
      : await this.#eachInterval(filter, range, starts);
    return rows.map(({ n, visitors, bots, ...row }) => ({
      bucket: bounds[Number(n)]!,
      ...measuresOf(row),
      visitors: Number(visitors),
      bots: Number(bots),
    }));
  }

  /** Returns the condition on record `r`, or `undefined` if no record can match. */
  async where(request: Matching): Promise<string | undefined> {
    const filter = await this.#filter(request);
    return filter && this.#where(filter, cut(request, request));
  }

  #where({ site, conditions }: Filter, range: Range): string {
    return [this.#dialect.recordWithin(site, range), ...conditions].join(' AND ');
  }

  async #filter({ site, where }: Matching): Promise<Filter | undefined> {
    const { query, table, isSite, isText, endpointOf } = this.#dialect;
    const ids = where.map(({ value }, n) =>
      value === null
        ? ''
        : `, (SELECT strings.id FROM ${table('strings')} strings WHERE ${isText(value)}) AS v${n}`,
    );
    const [row] = await query(
      `SELECT sites.id${ids.join('')} FROM ${table('sites')} sites WHERE ${isSite(site)}`,
    );
    if (!row) return undefined;
    const id = Number(row.id);
    const conditions: string[] = [];
    const ofEndpoint = endpointOf ? [endpointOf(id)] : [];
    for (const [n, condition] of where.entries()) {
      const known = row[`v${n}`] ?? undefined;
      const isUnknown =
        condition.value !== null && known === undefined && TEXT_ID_COLUMNS.has(condition.column);
      const found = isUnknown ? NONE : this.#condition(condition, Number(known ?? 0));
      if (found === NONE) {
        if (condition.not) continue;
        return undefined;
      }
      // Unlike `NOT`, this is also true for a record without a value.
      const sql = condition.not ? `(${found}) IS NOT TRUE` : found;
      (condition.column in ENDPOINT_IDS ? ofEndpoint : conditions).push(sql);
    }
    if (ofEndpoint.length > 0) {
      conditions.push(
        `r.endpoint IN (SELECT id FROM ${table('endpoints')} WHERE ${ofEndpoint.join(' AND ')})`,
      );
    }
    return { site: id, conditions };
  }

  /**
   * Returns the SQL of one condition on record `r`, or on its endpoint if the column is in `ENDPOINT_IDS`. `not` is
   * ignored.
   * @param id ID of the text: 0 if the condition has no text or the text is unknown.
   */
  #condition({ column, value }: Condition, id: number): string | typeof NONE {
    const { text, bytes, isTrue } = this.#dialect;
    switch (column) {
      case 'state':
        return value !== null && /^(?:0|[1-9]\d{0,8})$/.test(value) ? `r.status = ${value}` : NONE;
      case 'agent':
        return value === null ? 'r.agent IS NULL' : this.#agents(`string = ${id}`, false);
      case 'browser':
      case 'version':
      case 'platform':
      case 'device':
        return value === null
          ? this.#agents(`${column} IS NULL`, true)
          : this.#agents(`${bytes(column)} = ${bytes(text(value))}`, false);
      case 'botName':
        return value === null
          ? this.#agents(`NOT (${isTrue('bot')})`, true)
          : this.#agents(
              `${isTrue('bot')} AND (${bytes('browser')} = ${bytes(text(value))} OR (browser IS NULL AND string = ${id}))`,
              false,
            );
      default: {
        // An endpoint has 0 for no text, a record NULL.
        const endpoint = ENDPOINT_IDS[column];
        if (endpoint) return `${endpoint} = ${id}`;
        const found = this.#idInRecord(column);
        return value === null ? `${found} IS NULL` : `${found} = ${id}`;
      }
    }
  }

  #agents(where: string, orNone: boolean): string {
    const found = `r.agent IN (SELECT id FROM ${this.#dialect.table('agents')} WHERE ${where})`;
    return orNone ? `(r.agent IS NULL OR ${found})` : found;
  }

  /** Groups by IDs before joining, because there are few of them. */
  #sums(column: TextColumn, where: string): { sums: string; kind: 'ids' | 'texts' } {
    const { table, digits, bytes, isTrue } = this.#dialect;
    const byId = (id: string) =>
      `SELECT ${id} AS k, ${OF_RECORDS} FROM ${table(this.#dialect.records)} r WHERE ${where} GROUP BY k`;
    const again = (key: string, id: string, joins: string) =>
      `SELECT ${key} AS k, ${sumsOf('x')} FROM (${byId(id)}) x ${joins} GROUP BY ${key}`;
    const agents = `LEFT JOIN ${table('agents')} a ON a.id = x.k`;
    if (TEXT_IDS.has(column)) return { sums: byId(`COALESCE(${this.#idInRecord(column)}, 0)`), kind: 'ids' };
    const inEndpoint = ENDPOINT_IDS[column];
    if (inEndpoint) {
      const endpoints = `JOIN ${table('endpoints')} e ON e.id = x.k`;
      return { sums: again(`e.${inEndpoint}`, 'r.endpoint', endpoints), kind: 'ids' };
    }
    if (column === 'agent') return { sums: again('COALESCE(a.string, 0)', 'r.agent', agents), kind: 'ids' };
    if (column === 'state') return { sums: again(bytes(digits('x.k')), 'r.status', ''), kind: 'texts' };
    if (column !== 'botName')
      return { sums: again(bytes(`a.${column as AgentColumn}`), 'r.agent', agents), kind: 'texts' };
    const name = `CASE WHEN ${isTrue('a.bot')} THEN COALESCE(a.browser, u.text) END`;
    const strings = `LEFT JOIN ${table('strings')} u ON u.id = a.string`;
    return { sums: again(bytes(name), 'r.agent', `${agents} ${strings}`), kind: 'texts' };
  }

  /** Returns the ID of a column's text in record `r`, or NULL. */
  #idInRecord(column: TextColumn): string {
    const { table, isText } = this.#dialect;
    if (column === 'urlKey') return URL_KEY;
    if (column === 'notFound') return `CASE WHEN r.status = 404 THEN ${URL_KEY} END`;
    if (!isClassColumn(column)) return `r.${RECORD_IDS[column]}`;
    const id = `(SELECT strings.id FROM ${table('strings')} strings WHERE ${isText(column)})`;
    return `CASE WHEN r.class = ${id} THEN r.path END`;
  }

  /** Counts visitors by grouping, which engines do faster than counting distinct values. */
  #intervals(filter: Filter, range: Range, interval: string) {
    const each = `SELECT ${interval} AS n, r.visitor, ${OF_RECORDS}, ${this.#bots()} AS bots
      FROM ${this.#dialect.table(this.#dialect.records)} r WHERE ${this.#where(filter, range)}
      GROUP BY n, r.visitor`;
    return this.#dialect.query(
      `SELECT ${this.#dialect.hint ?? ''} x.n, ${sumsOf('x')}, SUM(x.bots) AS bots, COUNT(x.visitor) AS visitors
       FROM (${each}) x GROUP BY x.n ORDER BY x.n`,
    );
  }

  async #eachInterval(filter: Filter, range: Range, starts: readonly number[]) {
    const found: Record<string, unknown>[] = [];
    for (const [n, to] of starts.slice(1).entries()) {
      const within = cut(range, { from: starts[n]!, to: to - 1 });
      if (within.from > within.to) continue;
      const [row] = await this.#dialect.query(
        `SELECT ${OF_RECORDS}, ${this.#bots()} AS bots, COUNT(DISTINCT r.visitor) AS visitors
         FROM ${this.#dialect.table(this.#dialect.records)} r WHERE ${this.#where(filter, within)}`,
      );
      if (Number(row!.hits) > 0) found.push({ ...row, n });
    }
    return found;
  }

  #bots(): string {
    return `SUM(CASE WHEN ${this.#agents(this.#dialect.isTrue('bot'), false)} THEN 1 ELSE 0 END)`;
  }
}

/** ID of the key in `sumUrls` of record `r`. */
const URL_KEY = 'COALESCE(r.url_key, r.url)';

/** Columns whose texts are in `strings`, with IDs in the record or, derived, from its IDs. */
const TEXT_IDS = new Set<string>([...Object.keys(RECORD_IDS), 'notFound', ...REQUEST_CLASSES]);
/** All columns whose texts are in `strings`. */
const TEXT_ID_COLUMNS = new Set(['agent', ...TEXT_IDS, ...Object.keys(ENDPOINT_IDS)]);

/** Returns the intersection of two ranges, in whole ms. */
function cut(a: Range, b: Range): Range {
  return { from: Math.ceil(Math.max(a.from, b.from)), to: Math.floor(Math.min(a.to, b.to)) };
}
