import { reasonOf } from '../../errors.ts';
import type { Position } from '../../journal/position.ts';
import { checkTimeZone } from '../../storage/checks.ts';
import type {
  Batch,
  StorageMaintenance,
  StorageWriter,
  VisitorKeyRequest,
  WriterContext,
} from '../../storage/contract.ts';
import type { EngineSession } from '../../storage/opening.ts';
import { StorageReplaced } from '../../storage/replaced.ts';
import type { Deltas } from '../../summaries/fold.ts';
import { companionBase } from '../../summaries/latency.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import type { CurrentSweep } from './current-sweep.ts';
import type { Row, ServerDialect } from './dialect.ts';
import { type KeyBudgets, type PlacedGroup, placed } from './key-budgets.ts';
import type { ServerMaintenance } from './server-maintenance.ts';
import { type BatchIds, type LookUps, SharedRows } from './shared-rows.ts';
import { statementsOf } from './statements.ts';
import { type SumRows, sumRows } from './sums.ts';

/** Maximum number of attempts before a deadlock is reported. */
const MAX_ATTEMPTS = 5;
/** Maximum number of attempts while sweeps begin or other writers fill the same buckets. */
const MAX_ADMISSIONS = 100;
/** Number of distinct ordinals within a millisecond. Records of one millisecond are sorted by them. */
export const ORDINALS = 2 ** 31;

/** Session of an SQL server. */
export interface ServerSession extends EngineSession {
  query(sql: string): Promise<readonly Row[]>;
}

/** Start of a bucket, and its local date as text. */
export interface BucketDate {
  bucket: number;
  date: string;
}

/**
 * Returns the row, and adds it if it is missing. If several processes add it at the same time, one succeeds
 * and the others find it.
 */
async function findOrAdd(session: ServerSession, find: string, add: string): Promise<Row> {
  const [found] = await session.query(find);
  if (found) return found;
  await session.query(add);
  return (await session.query(find))[0]!;
}

/**
 * Returns the ID of a site, which is added if it is missing. Throws if it is stored with another time zone.
 * @param more Values of further columns.
 */
export async function openSite(
  session: ServerSession,
  dialect: ServerDialect,
  context: WriterContext,
  more: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { text } = dialect;
  const statements = statementsOf(dialect);
  const row = { ...more, name: text(context.site), time_zone: text(context.timeZone) };
  const found = await findOrAdd(session, statements.site(context.site), statements.add('sites', row));
  checkTimeZone(context, String(found.time_zone), session.label);
  return Number(found.id);
}

/**
 * Result of storing a batch:
 * - `stored`.
 * - `elsewhere`: the journal's position differs, because another process stored the batch.
 * - `swept`: a sweep has begun since the IDs were looked up.
 * - `full`: another writer has added keys, so that a bucket would exceed its budget.
 */
export type Outcome = 'stored' | 'elsewhere' | 'swept' | 'full';

/** Batch to store. */
export interface PreparedBatch extends Batch {
  ids: BatchIds;
  /** Deltas with their places. */
  groups: readonly PlacedGroup[];
  /** Number of the sweep since which the IDs were looked up. */
  sweep: number;
}

/** Components of an engine's writing end. */
export interface WriterParts {
  dialect: ServerDialect;
  lookUps: LookUps;
  /** Read by `lookUps`. */
  sweep: CurrentSweep;
  budgets: KeyBudgets;
  maintenance: ServerMaintenance;
  /** ID of the site: see `openSite`. */
  site: number;
}

/** Base of a writing end whose engine runs as a server. */
export abstract class ServerWriter<Session extends ServerSession> implements StorageWriter {
  protected readonly session: Session;
  protected readonly site: { readonly id: number; readonly name: string };
  readonly #dialect: ServerDialect;
  readonly #statements: ReturnType<typeof statementsOf>;
  readonly #calendar: Calendar;
  readonly #context: WriterContext;
  readonly #sweep: CurrentSweep;
  readonly #rows: SharedRows;
  readonly #series = new Map<string, number>();
  protected readonly budgets: KeyBudgets;
  readonly maintenance: StorageMaintenance;

  constructor(session: Session, parts: WriterParts, context: WriterContext) {
    const { dialect, lookUps, sweep, budgets, maintenance, site } = parts;
    this.session = session;
    this.site = { id: site, name: context.site };
    this.budgets = budgets;
    this.maintenance = this.#guardedMaintenance(maintenance);
    this.#dialect = dialect;
    this.#statements = statementsOf(dialect);
    this.#calendar = calendar(context.timeZone);
    this.#context = context;
    this.#sweep = sweep;
    this.#rows = new SharedRows(lookUps);
  }

  /** Stores a batch in one transaction, or nothing. */
  protected abstract store(batch: PreparedBatch): Promise<Outcome>;
  /** Creates the missing views of a summary. */
  protected abstract createViews(summary: string): Promise<void>;
  /** Returns whether the database or its tables are missing. */
  protected abstract isMissing(error: unknown): boolean;
  /** Returns whether an immediate retry may succeed. */
  protected abstract isConflict(error: unknown): boolean;
  abstract refuses(error: unknown): boolean;

  async position(journal: string): Promise<Position | undefined> {
    const [row] = await this.#query(this.#statements.position(this.#text(journal)));
    return row && { position: Number(row.position), ordinal: Number(row.ordinal) };
  }

  async apply(batch: Batch): Promise<boolean> {
    // Nothing proves yet that the cached IDs belong to this database.
    if (batch.from.position === 0) this.clearCaches();
    for (let admissions = 1; ; admissions++) {
      const outcome = await this.#retrying(() => this.#apply(batch));
      if (outcome === 'stored') return true;
      if (outcome === 'full') this.budgets.forget();
      else this.clearCaches();
      if (outcome === 'elsewhere') return false;
      if (admissions === MAX_ADMISSIONS)
        throw new Error(`a batch was not admitted after ${admissions} attempts`);
    }
  }

  visitorKey({ day, oldest, proposal }: VisitorKeyRequest): Promise<Uint8Array> {
    const site = this.site.id;
    const { visitorKey, oldVisitorKeys, add } = this.#statements;
    const date = this.#text(day);
    const secret = this.#text(Buffer.from(proposal).toString('hex'));
    return this.#retrying(async () => {
      await this.session.query(oldVisitorKeys(site, this.#text(oldest)));
      const row = { site: String(site), day: date, secret };
      const found = await findOrAdd(this.session, visitorKey(site, date), add('visitor_keys', row));
      return Buffer.from(String(found.secret), 'hex');
    });
  }

  async forget(journal: string): Promise<void> {
    await this.#query(this.#statements.forget(this.#text(journal)));
  }

  close(): Promise<void> {
    return this.session.close();
  }

  /** Throws if the site has another ID, or none: the database was recreated. */
  protected async checkSite(query: (sql: string) => Promise<readonly Row[]>): Promise<void> {
    const [row] = await query(this.#statements.site(this.site.name));
    if (Number(row?.id) === this.site.id) return;
    throw new StorageReplaced(
      `${this.session.label} no longer has the site "${this.site.name}" under its ID`,
    );
  }

  /** Converts the deltas of a batch to the rows of each period's table. */
  protected sumsOf(deltas: Deltas, { texts }: BatchIds): SumRows[] {
    return sumRows(deltas, texts, (summary) => this.#series.get(summary)!);
  }

  /** Returns the dates of the buckets. All are stored with each batch, because a sweep may have deleted them. */
  protected bucketsOf(deltas: Deltas): BucketDate[] {
    return [...new Set(deltas.map(({ bucket }) => bucket))]
      .sort((a, b) => a - b)
      .map((bucket) => ({ bucket, date: this.#calendar.format(bucket) }));
  }

  /** Clears the caches, after a failure: the database may have been replaced or restored. */
  protected clearCaches(): void {
    this.#sweep.number = undefined;
    this.#rows.forget();
    this.#series.clear();
    this.budgets.forget();
  }

  async #apply(batch: Batch): Promise<Outcome> {
    const { records } = batch;
    this.#sweep.number ??= await this.#lastSweep();
    const sweep = this.#sweep.number;
    let ids = await this.#rows.idsOf(records);
    await this.#openSeries(batch.deltas);
    const places = batch.deltas.map((group) =>
      placed(group, this.#series.get(group.summary.name)!, this.#context.maxKeys),
    );
    const groups = await this.budgets.admit(places, records, ids.texts);
    // The key of others is new in the batch.
    if (records.strings.length > ids.texts.length) ids = await this.#rows.idsOf(records);
    return this.store({ ...batch, deltas: groups.map(({ group }) => group), groups, ids, sweep });
  }

  /**
   * Returns the number of the last sweep. Throws if the time zone of the site has been changed, which begins a sweep after
   * the change: every batch is refused until its number is read again.
   */
  async #lastSweep(): Promise<number> {
    const [row] = await this.session.query(`SELECT number FROM ${this.#dialect.table('sweeps')}`);
    const [site] = await this.session.query(this.#statements.site(this.site.name));
    if (site) checkTimeZone(this.#context, String(site.time_zone), this.session.label);
    return Number(row!.number);
  }

  /** Retries a call after a conflict. */
  async #retrying<T>(call: () => Promise<T>): Promise<T> {
    for (let attempts = 1; ; attempts++) {
      try {
        return await this.#guarded(call);
      } catch (error) {
        this.clearCaches();
        if (attempts === MAX_ATTEMPTS || !this.isConflict(error)) throw error;
      }
    }
  }

  #guardedMaintenance(maintenance: ServerMaintenance): StorageMaintenance {
    return {
      lease: (request) => this.#retrying(() => maintenance.lease(request)),
      times: () => this.#retrying(() => maintenance.times()),
      retain: (retention, replaces) => this.#retrying(() => maintenance.retain(retention, replaces)),
      prune: (request) => this.#retrying(() => maintenance.prune(request)),
      sweep: () => this.#retrying(() => maintenance.sweep()),
      setTimeZone: (request) => this.#retrying(() => maintenance.setTimeZone(request)),
      erase: (person, limit) => this.#retrying(() => maintenance.erase(person, limit)),
      scrub: () => this.#retrying(() => maintenance.scrub()),
    };
  }

  async #openSeries(deltas: Deltas): Promise<void> {
    const { series, add } = this.#statements;
    for (const { summary } of deltas) {
      if (this.#series.has(summary.name)) continue;
      const row = { site: this.site.id, summary: this.#text(summary.name) };
      const { id } = await findOrAdd(this.session, series(row.site, row.summary), add('series', row));
      if (companionBase(summary.name) === undefined) await this.createViews(summary.name);
      this.#series.set(summary.name, Number(id));
    }
  }

  #text(value: string): string {
    return this.#dialect.text(value);
  }

  #query(sql: string): Promise<readonly Row[]> {
    return this.#guarded(() => this.session.query(sql));
  }

  async #guarded<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!this.isMissing(error)) throw error;
      throw new StorageReplaced(`${this.session.label}: ${reasonOf(error)}`, { cause: error });
    }
  }
}
