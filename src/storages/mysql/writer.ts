import { reasonOf } from '../../errors.ts';
import type { Position } from '../../journal/position.ts';
import type { Batch, StorageWriter, WriterContext } from '../../storage/contract.ts';
import { StorageReplaced } from '../../storage/replaced.ts';
import type { Deltas } from '../../summaries/fold.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import { Agents } from '../sql/agents.ts';
import { Endpoints } from '../sql/endpoints.ts';
import { findOrAdd, openSite, type SiteRow } from '../sql/sites.ts';
import { sumRows } from '../sql/sums.ts';
import { hashOf, Texts } from '../sql/texts.ts';
import { warnIfNotDurable } from './durability.ts';
import { isConflict, isMissing, isRefusal } from './failures.ts';
import { moveJournal } from './journals.ts';
import { binary, text } from './literals.ts';
import { Lookups } from './lookups.ts';
import { send } from './packets.ts';
import { createViews, migrate } from './schema.ts';
import type { Query, Session } from './session.ts';
import * as statements from './statements.ts';

/** Maximum number of attempts before a deadlock is reported. */
const MAX_ATTEMPTS = 5;

export class MysqlWriter implements StorageWriter {
  readonly #session: Session;
  readonly #site: number;
  readonly #siteName: string;
  readonly #calendar: Calendar;
  readonly #series = new Map<string, number>();
  readonly #lookups: Lookups;
  readonly #texts: Texts;
  readonly #endpoints: Endpoints;
  readonly #agents: Agents;
  /** Buckets of recent batches, whose dates are stored already. */
  #buckets = new Set<number>();

  private constructor(session: Session, site: number, { site: name, timeZone }: WriterContext) {
    this.#session = session;
    this.#site = site;
    this.#siteName = name;
    this.#calendar = calendar(timeZone);
    this.#lookups = new Lookups(session);
    this.#texts = new Texts((wanted) => this.#lookups.texts(wanted));
    this.#endpoints = new Endpoints((wanted) => this.#lookups.endpoints(wanted));
    this.#agents = new Agents((wanted) => this.#lookups.agents(wanted));
  }

  static async open(session: Session, context: WriterContext): Promise<MysqlWriter> {
    await migrate(session);
    await warnIfNotDurable(session, context);
    const sites = session.table('sites');
    const hash = binary(hashOf(context.site));
    const values = `${hash}, ${text(context.site)}, ${text(context.timeZone)}`;
    const id = await openSite(
      context,
      session.label,
      async () =>
        (await session.query(`SELECT id, time_zone FROM ${sites} WHERE hash = ${hash}`))[0] as
          | SiteRow
          | undefined,
      () =>
        session.query(
          `INSERT INTO ${sites} (hash, name, time_zone) VALUES (${values}) ON DUPLICATE KEY UPDATE id = id`,
        ),
    );
    return new MysqlWriter(session, id, context);
  }

  async position(journal: string): Promise<Position | undefined> {
    const [row] = await this.#guarded(() =>
      this.#session.query(
        `SELECT position, ordinal FROM ${this.#session.table('journals')} WHERE id = ${text(journal)}`,
      ),
    );
    return row && { position: Number(row.position), ordinal: Number(row.ordinal) };
  }

  async apply(batch: Batch): Promise<boolean> {
    // Nothing proves yet that the cached IDs belong to this database.
    if (batch.from.position === 0) this.#forget();
    for (let attempts = 1; ; attempts++) {
      try {
        const isStored = await this.#guarded(() => this.#try(batch));
        if (!isStored) this.#forget();
        return isStored;
      } catch (error) {
        this.#forget();
        if (attempts === MAX_ATTEMPTS || !isConflict(error)) throw error;
      }
    }
  }

  async forget(journal: string): Promise<void> {
    await this.#guarded(() =>
      this.#session.query(`DELETE FROM ${this.#session.table('journals')} WHERE id = ${text(journal)}`),
    );
  }

  refuses(error: unknown): boolean {
    return isRefusal(error);
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  async #try(batch: Batch): Promise<boolean> {
    const { records, deltas } = batch;
    const ids = await this.#texts.idsOf(records);
    const endpoints = await this.#endpoints.idsOf(records, ids);
    const agents = await this.#agents.idsOf(records, ids);
    await this.#openSeries(deltas);
    const buckets = new Set(deltas.map(({ bucket }) => bucket));
    const packet = await this.#lookups.packet();
    const stored = await this.#session.lease(async (query) => {
      await query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await query('START TRANSACTION');
      if (batch.from.position === 0) await this.#checkSite(query);
      const journal = await moveJournal(query, this.#session.table, batch);
      if (journal === undefined) {
        await query('ROLLBACK');
        return false;
      }
      await send(query, this.#inserts(batch, journal, { ids, endpoints, agents }, buckets), packet);
      await query('COMMIT');
      return true;
    });
    if (stored) this.#buckets = buckets;
    return stored;
  }

  /** Throws if the site has another ID, or none: the database was recreated. */
  async #checkSite(query: Query): Promise<void> {
    const hash = binary(hashOf(this.#siteName));
    const [row] = await query(`SELECT id FROM ${this.#session.table('sites')} WHERE hash = ${hash}`);
    if (Number(row?.id) === this.#site) return;
    throw new StorageReplaced(
      `${this.#session.label} no longer has the site "${this.#siteName}" under its ID`,
    );
  }

  async #guarded<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw new StorageReplaced(`${this.#session.label}: ${reasonOf(error)}`, { cause: error });
    }
  }

  *#inserts(
    { from, records, deltas }: Batch,
    journal: number,
    { ids, endpoints, agents }: { ids: Float64Array; endpoints: Int32Array; agents: Float64Array },
    buckets: ReadonlySet<number>,
  ) {
    const { table } = this.#session;
    const origin = { site: this.#site, journal, first: from.ordinal };
    const dates = [...buckets]
      .filter((bucket) => !this.#buckets.has(bucket))
      .sort((a, b) => a - b)
      .map((bucket) => ({ bucket, date: this.#calendar.format(bucket) }));
    yield statements.addRecords(table, origin, records, ids, endpoints, agents);
    yield statements.addBuckets(table, this.#site, dates);
    for (const sums of sumRows(deltas, ids, (summary) => this.#series.get(summary)!)) {
      yield statements.addSums(table, sums);
    }
  }

  async #openSeries(deltas: Deltas): Promise<void> {
    const series = this.#session.table('series');
    const query: Query = (sql) => this.#session.query(sql);
    for (const { summary } of deltas) {
      if (this.#series.has(summary.name)) continue;
      const name = text(summary.name);
      const { id } = await findOrAdd(
        async () =>
          (await query(`SELECT id FROM ${series} WHERE site = ${this.#site} AND summary = ${name}`))[0],
        () =>
          query(
            `INSERT INTO ${series} (site, summary) VALUES (${this.#site}, ${name}) ON DUPLICATE KEY UPDATE id = id`,
          ),
      );
      await createViews(this.#session, summary.name);
      this.#series.set(summary.name, Number(id));
    }
  }

  /** Clears the caches, after a failure: the database may have been replaced or restored. */
  #forget(): void {
    this.#lookups.forget();
    this.#texts.forget();
    this.#endpoints.forget();
    this.#agents.forget();
    this.#series.clear();
    this.#buckets = new Set();
  }
}
