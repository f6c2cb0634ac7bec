import { REQUEST_CLASSES, type TextColumn } from '../../record.ts';
import type {
  Condition,
  Keys,
  KeysRequest,
  Matching,
  MatchingKeysRequest,
  MatchingRow,
  MatchingSeriesRequest,
  Range,
  SeriesRequest,
  SeriesRow,
  Span,
  Total,
  TotalRequest,
} from '../../storage/contract.ts';
import { MEASURES, measuresOf } from '../../storage/measures.ts';
import { literal, type Statements } from './client.ts';
import type { Tables } from './table-names.ts';
import { HAS_HITS } from './tables.ts';

/** Latest second at which a bucket can start, and latest date of a record. */
export const LAST_BUCKET = 2 ** 32 - 1;
export const LAST_DATE = LAST_BUCKET * 1000;

const OF_SUMS = MEASURES.map((name) => `sum(s.${name}) AS ${name}`).join(', ');
/** The total of keys `k`. */
const OF_KEYS = `${MEASURES.map((name) => `sum(k.${name}) AS ${name}`).join(', ')}, countIf(k.absent = 0) AS different`;
const OF_RECORDS = `count() AS hits, sum(r.content_length) AS transfer, countIf(r.status >= 500) AS errors,
  sum(r.duration) AS duration`;

/** Expressions of the record columns that differ from the table's. */
const TEXTS: Partial<Record<TextColumn, string>> = {
  serverName: 'r.server_name',
  urlKey: 'coalesce(r.url_key, r.url)',
  remoteAddr: 'r.remote_addr',
  forwardedFor: 'r.forwarded_for',
  agent: 'r.user_agent',
  state: 'toString(r.status)',
  referrerHost: 'r.referrer_host',
  notFound: 'if(r.status = 404, coalesce(r.url_key, r.url), NULL)',
  ...Object.fromEntries(REQUEST_CLASSES.map((name) => [name, `if(r.class = '${name}', r.path, NULL)`])),
  botName: 'if(r.bot = 1, coalesce(r.browser, r.user_agent), NULL)',
};

type Row = Record<string, unknown>;
type Page = Pick<KeysRequest, 'order' | 'search' | 'limit' | 'offset'>;

/** Runs queries over a range, and queries on the matching records. */
export class Queries {
  readonly #statements: Statements;
  readonly #tables: Tables;

  constructor(statements: Statements, tables: Tables) {
    this.#statements = statements;
    this.#tables = tables;
  }

  keys({ spans, ...request }: KeysRequest): Promise<Keys> {
    const grouped = `SELECT if(s.absent = 1, NULL, s.key) AS name, ${OF_SUMS}
      FROM ${this.#sums(request, spans)} GROUP BY s.absent, s.key HAVING ${HAS_HITS}`;
    return this.#page(grouped, request);
  }

  async total({ spans, target, ...request }: TotalRequest): Promise<Total> {
    const [row] = await this.#statements.limited<Row>(
      `SELECT ${OF_KEYS} FROM (SELECT s.absent AS absent, ${OF_SUMS} FROM ${this.#sums(request, spans)}
       ${ofKey(target)} GROUP BY s.absent, s.key HAVING ${HAS_HITS}) AS k`,
    );
    return { ...measuresOf(row!), keys: Number(row!.different) };
  }

  async series({ period, from, to, target, ...request }: SeriesRequest): Promise<SeriesRow[]> {
    const sums = `FROM ${this.#sums(request, [{ period, from, to }])} ${ofKey(target)}`;
    let rows = await this.#statements.limited<Row>(
      `SELECT toUnixTimestamp(s.bucket) AS start, ${OF_SUMS}, uniqExactIf(s.key, s.absent = 0) AS different,
         countIf(NOT toInt64(s.hits) > 0) AS corrections ${sums} GROUP BY s.bucket ORDER BY s.bucket`,
    );
    if (rows.some(({ corrections }) => Number(corrections) > 0)) {
      // Keys without hits must not count. Grouping by key takes twice as long.
      rows = await this.#statements.limited<Row>(
        `SELECT toUnixTimestamp(k.bucket) AS start, ${OF_KEYS}
         FROM (SELECT s.bucket AS bucket, s.absent AS absent, ${OF_SUMS} ${sums}
           GROUP BY s.bucket, s.absent, s.key HAVING ${HAS_HITS}) AS k
         GROUP BY k.bucket ORDER BY k.bucket`,
      );
    }
    return rows.map((row) => ({
      bucket: Number(row.start) * 1000,
      ...measuresOf(row),
      keys: Number(row.different),
    }));
  }

  /** @param condition Additional condition on the records `r`. */
  matchingKeys({ column, ...request }: MatchingKeysRequest, condition = 'true'): Promise<Keys> {
    return this.#page(
      `SELECT ${textOf(column)} AS name, ${OF_RECORDS} FROM ${this.matching(request)} AND ${condition}
       GROUP BY name`,
      request,
    );
  }

  async matchingSeries({ bounds, ...request }: MatchingSeriesRequest): Promise<MatchingRow[]> {
    const starts = new Map(bounds.map((bound) => [clamp(Math.ceil(bound), LAST_DATE + 1), bound]));
    const range = {
      from: Math.max(request.from, bounds[0]!),
      to: Math.min(request.to, Math.ceil(bounds.at(-1)!) - 1),
    };
    const rows = await this.#statements.limited<Row>(
      `SELECT roundDown(toUnixTimestamp64Milli(r.date), CAST([${[...starts.keys()]}] AS Array(Int64))) AS start,
         ${OF_RECORDS}, uniqExact(r.visitor) AS visitors, countIf(r.bot = 1) AS bots
       FROM ${this.matching({ ...request, ...range })} GROUP BY start ORDER BY start`,
    );
    return rows.map((row) => ({
      bucket: starts.get(Number(row.start))!,
      ...measuresOf(row),
      visitors: Number(row.visitors),
      bots: Number(row.bots),
    }));
  }

  /** Selects the matching records `r`. */
  matching({ site, where, ...range }: Matching): string {
    const conditions = [`r.site = ${literal(site)}`, `r.date ${dates(range)}`, ...where.map(conditionOf)];
    return `${this.#tables.records} AS r WHERE ${conditions.join(' AND ')}`;
  }

  /** Selects the sums `s` of these spans. */
  #sums({ site, summary }: { site: string; summary: string }, spans: readonly Span[]): string {
    const within = spans.map(
      ({ period, from, to }) =>
        `(s.period = ${literal(period)} AND s.bucket BETWEEN toDateTime(${clamp(Math.ceil(from / 1000), LAST_BUCKET)}, 'UTC')
          AND toDateTime(${clamp(Math.floor(to / 1000), LAST_BUCKET)}, 'UTC'))`,
    );
    return `${this.#tables.sums} AS s WHERE s.site = ${literal(site)} AND s.summary = ${literal(summary)}
      AND (${within.join(' OR ') || 'false'})`;
  }

  async #page(grouped: string, { order, search, limit, offset }: Page): Promise<Keys> {
    const rank = order === 'average' ? 'g.duration / g.hits' : `g.${order}`;
    const found =
      search === undefined ? '' : `WHERE ifNull(positionCaseInsensitive(g.name, ${literal(search)}), 0) > 0`;
    const all = MEASURES.map((name) => `sum(g.${name}) OVER () AS all_${name}`).join(', ');
    const fetchRows = (rows: number, from: number) =>
      this.#statements.limited<Row>(
        `SELECT g.*, count() OVER () AS all_keys, ${all} FROM (${grouped}) AS g ${found}
         ORDER BY ${rank} DESC, g.hits DESC, g.name IS NULL, g.name
         LIMIT ${rows === 0 ? Number.MAX_SAFE_INTEGER : rows} OFFSET ${from}`,
      );
    const rows = await fetchRows(limit, offset);
    // A page after the last one has no rows to carry the total.
    const [first] = rows.length === 0 && offset > 0 ? await fetchRows(1, 0) : rows;
    return {
      rows: rows.map((row) => ({ key: (row.name ?? null) as string | null, ...measuresOf(row) })),
      count: Number(first?.all_keys ?? 0),
      total: measuresOf(Object.fromEntries(MEASURES.map((name) => [name, first?.[`all_${name}`]]))),
    };
  }
}

function ofKey(target: string | null | undefined): string {
  if (target === undefined) return '';
  return target === null ? 'AND s.absent = 1' : `AND s.absent = 0 AND s.key = ${literal(target)}`;
}

function textOf(column: TextColumn): string {
  return TEXTS[column] ?? `r.${column}`;
}

function conditionOf({ column, value, not = false }: Condition): string {
  const equal = equalTo(column, value);
  // A record without a value has another one.
  return not ? `NOT ifNull(${equal}, 0)` : equal;
}

function equalTo(column: TextColumn, value: string | null): string {
  if (value === null) return `${textOf(column)} IS NULL`;
  // The column is a number, which only a text in canonical form can equal.
  if (column === 'state') return /^(?:0|[1-9]\d{0,4})$/.test(value) ? `r.status = ${value}` : 'false';
  return `${textOf(column)} = ${literal(value)}`;
}

function dates({ from, to }: Range): string {
  const date = (ms: number) => `fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC')`;
  const [first, last] = [Math.max(Math.ceil(from), 0), Math.min(Math.floor(to), LAST_DATE)];
  return `BETWEEN ${date(Math.min(first, LAST_DATE + 1))} AND ${date(Math.max(last, -1))}`;
}

function clamp(value: number, last: number): number {
  return Math.min(Math.max(value, 0), last);
}
