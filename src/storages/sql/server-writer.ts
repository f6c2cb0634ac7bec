import { reasonOf } from '../../errors.ts';
import type { Position } from '../../journal/position.ts';
import { checkTimeZone } from '../../storage/checks.ts';
import type { Batch, StorageWriter, WriterContext } from '../../storage/contract.ts';
import type { EngineSession } from '../../storage/opening.ts';
import { StorageReplaced } from '../../storage/replaced.ts';
import type { Deltas } from '../../summaries/fold.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import type { Row, ServerDialect } from './dialect.ts';
import { type BatchIds, type LookUps, SharedRows } from './shared-rows.ts';
import { statementsOf } from './statements.ts';
import { type SumRows, sumRows } from './sums.ts';

/** Maximum number of attempts before a deadlock is reported. */
const MAX_ATTEMPTS = 5;
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

/** Base of a writing end whose engine runs as a server. */
export abstract class ServerWriter<Session extends ServerSession> implements StorageWriter {
  protected readonly session: Session;
  protected readonly site: { readonly id: number; readonly name: string };
  readonly #dialect: ServerDialect;
  readonly #statements: ReturnType<typeof statementsOf>;
  readonly #calendar: Calendar;
  readonly #rows: SharedRows;
  readonly #series = new Map<string, number>();
  /** Buckets of recent batches, whose dates are stored already. */
  #buckets = new Set<number>();

  /** @param id ID of the site: see `openSite`. */
  constructor(
    session: Session,
    dialect: ServerDialect,
    lookUps: LookUps,
    id: number,
    { site, timeZone }: WriterContext,
  ) {
    this.session = session;
    this.site = { id, name: site };
    this.#dialect = dialect;
    this.#statements = statementsOf(dialect);
    this.#calendar = calendar(timeZone);
    this.#rows = new SharedRows(lookUps);
  }

  /** Stores a batch in one transaction. Returns false if the journal's position differs. */
  protected abstract store(batch: Batch, ids: BatchIds): Promise<boolean>;
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
    for (let attempts = 1; ; attempts++) {
      try {
        const isStored = await this.#guarded(() => this.#apply(batch));
        if (!isStored) this.clearCaches();
        return isStored;
      } catch (error) {
        this.clearCaches();
        if (attempts === MAX_ATTEMPTS || !this.isConflict(error)) throw error;
      }
    }
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

  /** Returns the dates of the buckets that may not be stored yet. */
  protected newBuckets(deltas: Deltas): BucketDate[] {
    return [...bucketsOf(deltas)]
      .filter((bucket) => !this.#buckets.has(bucket))
      .sort((a, b) => a - b)
      .map((bucket) => ({ bucket, date: this.#calendar.format(bucket) }));
  }

  /** Clears the caches, after a failure: the database may have been replaced or restored. */
  protected clearCaches(): void {
    this.#rows.forget();
    this.#series.clear();
    this.#buckets = new Set();
  }

  async #apply(batch: Batch): Promise<boolean> {
    const ids = await this.#rows.idsOf(batch.records);
    await this.#openSeries(batch.deltas);
    const isStored = await this.store(batch, ids);
    if (isStored) this.#buckets = bucketsOf(batch.deltas);
    return isStored;
  }

  async #openSeries(deltas: Deltas): Promise<void> {
    const { series, add } = this.#statements;
    for (const { summary } of deltas) {
      if (this.#series.has(summary.name)) continue;
      const row = { site: this.site.id, summary: this.#text(summary.name) };
      const { id } = await findOrAdd(this.session, series(row.site, row.summary), add('series', row));
      await this.createViews(summary.name);
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

function bucketsOf(deltas: Deltas): Set<number> {
  return new Set(deltas.map(({ bucket }) => bucket));
}
