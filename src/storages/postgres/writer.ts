import type { RecordBatch } from '../../batch.ts';
import { reasonOf } from '../../errors.ts';
import type { Position } from '../../journal/position.ts';
import type { Batch, StorageWriter, WriterContext } from '../../storage/contract.ts';
import { StorageReplaced } from '../../storage/replaced.ts';
import type { Deltas } from '../../summaries/fold.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import { type Agent, Agents } from '../sql/agents.ts';
import { ENDPOINT_COLUMNS, type Endpoint, Endpoints } from '../sql/endpoints.ts';
import { findOrAdd, openSite, type SiteRow } from '../sql/sites.ts';
import { type SumRows, sumRows } from '../sql/sums.ts';
import { type Text, Texts } from '../sql/texts.ts';
import { idsOf, int4s, int8s, texts, timestamps, uuids } from './arrays.ts';
import { createViews, migrate } from './schema.ts';
import type { Session } from './session.ts';
import { statementsOf } from './statements.ts';

/** Classes of SQLSTATE for a refused value: data exceptions, constraint violations, program limits. */
const REFUSALS = new Set(['22', '23', '54']);
/** SQLSTATEs of a missing table, schema and database. */
const MISSING = new Set(['42P01', '3F000', '3D000']);
/** Number of distinct ordinals within a millisecond. Records of one millisecond are sorted by them. */
const ORDINALS = 2 ** 31;

export class PostgresWriter implements StorageWriter {
  readonly #session: Session;
  readonly #statements: ReturnType<typeof statementsOf>;
  readonly #site: number;
  readonly #siteName: string;
  readonly #calendar: Calendar;
  readonly #series = new Map<string, number>();
  readonly #texts: Texts;
  readonly #endpoints: Endpoints;
  readonly #agents: Agents;
  /** Buckets of recent batches, whose dates are stored already. */
  #buckets = new Set<number>();

  private constructor(session: Session, site: number, { site: name, timeZone }: WriterContext) {
    this.#session = session;
    this.#statements = statementsOf(session.schema);
    this.#site = site;
    this.#siteName = name;
    this.#calendar = calendar(timeZone);
    this.#texts = new Texts((wanted) => this.#lookUpTexts(wanted));
    this.#endpoints = new Endpoints((wanted) => this.#lookUpEndpoints(wanted));
    this.#agents = new Agents((wanted) => this.#lookUpAgents(wanted));
  }

  static async open(session: Session, context: WriterContext): Promise<PostgresWriter> {
    await migrate(session);
    const { site, addSite } = statementsOf(session.schema);
    const id = await openSite(
      context,
      session.label,
      async () => (await session.query<SiteRow>(site, [context.site]))[0],
      () => session.query(addSite, [context.site, context.timeZone]),
    );
    return new PostgresWriter(session, id, context);
  }

  async position(journal: string): Promise<Position | undefined> {
    const [row] = await this.#guarded(() =>
      this.#session.query<Position>(this.#statements.position, [journal]),
    );
    return row && { position: Number(row.position), ordinal: Number(row.ordinal) };
  }

  async apply(batch: Batch): Promise<boolean> {
    // Nothing proves yet that the cached IDs belong to this database.
    if (batch.from.position === 0) this.#forget();
    try {
      const isStored = await this.#guarded(() => this.#store(batch));
      if (!isStored) await this.#checkSite();
      return isStored;
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  async #store({ journal, from, to, records, deltas }: Batch): Promise<boolean> {
    const ids = await this.#texts.idsOf(records);
    const endpoints = await this.#endpoints.idsOf(records, ids);
    const agents = await this.#agents.idsOf(records, ids);
    await this.#openSeries(deltas);
    const sums = sumRows(deltas, ids, (summary) => this.#series.get(summary)!);
    const buckets = [...new Set(deltas.map(({ bucket }) => bucket))];
    const [row] = await this.#session.query<{ moved: number }>(this.#statements.apply, [
      ...[journal, to.position, to.ordinal, from.position, this.#site, this.#siteName],
      ...recordColumns(records, from.ordinal, ids, endpoints, agents),
      ...this.#datesOf(buckets),
      ...sums.flatMap(sumColumns),
    ]);
    if (Number(row!.moved) === 1) this.#buckets = new Set(buckets);
    return Number(row!.moved) === 1;
  }

  /** Throws if the site has another ID, or none: the database was recreated. */
  async #checkSite(): Promise<void> {
    this.#forget();
    const [row] = await this.#guarded(() =>
      this.#session.query<SiteRow>(this.#statements.site, [this.#siteName]),
    );
    if (Number(row?.id) === this.#site) return;
    throw new StorageReplaced(
      `${this.#session.label} no longer has the site "${this.#siteName}" under its ID`,
    );
  }

  async #guarded<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!MISSING.has((error as { code?: string }).code ?? '')) throw error;
      throw new StorageReplaced(`${this.#session.label}: ${reasonOf(error)}`, { cause: error });
    }
  }

  async forget(journal: string): Promise<void> {
    await this.#guarded(() => this.#session.query(this.#statements.forget, [journal]));
  }

  refuses(error: unknown): boolean {
    const { code } = error as { code?: unknown };
    return typeof code === 'string' && code.length === 5 && REFUSALS.has(code.slice(0, 2));
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  /** Clears the caches, after a failure: the database may have been replaced or restored. */
  #forget(): void {
    this.#texts.forget();
    this.#endpoints.forget();
    this.#agents.forget();
    this.#series.clear();
    this.#buckets = new Set();
  }

  async #lookUpTexts(wanted: readonly Text[]): Promise<{ hash: string; id: number }[]> {
    const rows = await this.#session.query<{ hash: string; id: string }>(this.#statements.texts, [
      uuids(wanted.map(({ hash }) => hash)),
      texts(wanted.map(({ text }) => text)),
    ]);
    return rows.map(({ hash, id }) => ({ hash, id: Number(id) }));
  }

  async #lookUpEndpoints(wanted: readonly Endpoint[]): Promise<(Endpoint & { id: number })[]> {
    const columns = ENDPOINT_COLUMNS.map((column) => wanted.map((endpoint) => endpoint[column]));
    const credentials = columns.pop()!;
    const rows = await this.#session.query<Record<keyof Endpoint | 'id', string>>(
      this.#statements.endpoints,
      [...columns.map((column) => int8s(column)), int4s(credentials)],
    );
    // The driver returns large integers as text.
    return rows.map((row) => {
      const values = Object.entries(row).map(([column, value]) => [column, Number(value)]);
      return Object.fromEntries(values) as Endpoint & { id: number };
    });
  }

  async #lookUpAgents(agents: readonly Agent[]): Promise<{ string: number; digest: string; id: number }[]> {
    const rows = await this.#session.query<Record<'string' | 'digest' | 'id', string>>(
      this.#statements.agents,
      [
        int8s(agents.map(({ string }) => string)),
        uuids(agents.map(({ digest }) => digest)),
        texts(agents.map(({ browser }) => browser)),
        texts(agents.map(({ version }) => version)),
        texts(agents.map(({ platform }) => platform)),
        int4s(agents.map(({ bot }) => (bot ? 1 : 0))),
      ],
    );
    return rows.map(({ string, digest, id }) => ({ string: Number(string), digest, id: Number(id) }));
  }

  async #openSeries(deltas: Deltas): Promise<void> {
    for (const { summary } of deltas) {
      if (this.#series.has(summary.name)) continue;
      const values = [this.#site, summary.name];
      const { id } = await findOrAdd(
        async () => (await this.#session.query<{ id: number }>(this.#statements.series, values))[0],
        () => this.#session.query(this.#statements.addSeries, values),
      );
      await createViews(this.#session, summary.name);
      this.#series.set(summary.name, Number(id));
    }
  }

  /** Encodes the dates of the buckets that may not be stored yet. */
  #datesOf(buckets: readonly number[]): Buffer[] {
    const missing = buckets.filter((bucket) => !this.#buckets.has(bucket)).sort((a, b) => a - b);
    return [timestamps(missing), texts(missing.map((bucket) => this.#calendar.format(bucket)))];
  }
}

/** Returns the parameters in the order of the statement. */
function recordColumns(
  { length, text, date, duration, contentLength, status, extra }: RecordBatch,
  first: number,
  ids: Float64Array,
  endpoints: Int32Array,
  agents: Float64Array,
): Buffer[] {
  const ofText = (locals: Int32Array) => idsOf(locals, ids, length);
  return [
    int4s(endpoints),
    timestamps(date, length),
    int4s(Int32Array.from({ length }, (_, i) => (first + i) % ORDINALS)),
    int4s(status, length),
    ofText(text.url),
    int8s(contentLength, length),
    int8s(duration, length),
    ofText(text.remoteAddr),
    ofText(text.forwardedFor),
    idsOf(Int32Array.from(agents.keys()), agents, length),
    ofText(text.language),
    ofText(text.referrer),
    ofText(text.username),
    ofText(text.visitor),
    ofText(text.country),
    texts(Array.from({ length }, (_, i) => extra.get(i) ?? null)),
  ];
}

/** Returns the parameters in the order of the statement. */
function sumColumns({ series, bucket, key, hits, transfer, errors, duration }: SumRows): Buffer[] {
  return [
    int4s(series),
    timestamps(bucket),
    int8s(key),
    int8s(hits),
    int8s(transfer),
    int8s(errors),
    int8s(duration),
  ];
}
