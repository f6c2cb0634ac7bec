import type { WriterContext } from '../../storage/contract.ts';
import { isNegative } from '../../storage/key-budget.ts';
import type { Period } from '../../summaries/periods.ts';
import type { CurrentSweep } from '../sql/current-sweep.ts';
import type { ServerDialect } from '../sql/dialect.ts';
import { KeyBudgets, nameOf, placeOf } from '../sql/key-budgets.ts';
import { type Outcome, openSite, type PreparedBatch, ServerWriter } from '../sql/server-writer.ts';
import { hashOf } from '../sql/texts.ts';
import { dialectOf } from './dialect.ts';
import { warnIfNotDurable } from './durability.ts';
import { isConflict, isMissing, isRefusal } from './failures.ts';
import { moveJournal } from './journals.ts';
import { binary } from './literals.ts';
import { Lookups } from './lookups.ts';
import { MysqlMaintenance } from './maintenance.ts';
import { type RowsStatement, send } from './packets.ts';
import { createViews, migrate } from './schema.ts';
import { affectedBy, type Query, type Session } from './session.ts';
import type { AddedKeys } from './statements.ts';
import * as statements from './statements.ts';

export class MysqlWriter extends ServerWriter<Session> {
  readonly #lookups: Lookups;

  private constructor(session: Session, dialect: ServerDialect, site: number, context: WriterContext) {
    const sweep: CurrentSweep = { number: undefined };
    const lookUps = new Lookups(session, sweep);
    const budgets = new KeyBudgets(dialect, 'c.is_exact');
    const maintenance = new MysqlMaintenance(session, dialect, site);
    super(session, { dialect, lookUps, sweep, budgets, maintenance, site }, context);
    this.#lookups = lookUps;
  }

  static async open(session: Session, context: WriterContext): Promise<MysqlWriter> {
    await migrate(session);
    await warnIfNotDurable(session, context);
    const dialect = dialectOf(session);
    const site = await openSite(session, dialect, context, { hash: binary(hashOf(context.site)) });
    return new MysqlWriter(session, dialect, site, context);
  }

  refuses(error: unknown): boolean {
    return isRefusal(error);
  }

  protected async store(batch: PreparedBatch): Promise<Outcome> {
    const packet = await this.#lookups.packet();
    const { table } = this.session;
    return this.session.lease(async (query) => {
      await query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await query('START TRANSACTION');
      const undo = async (outcome: Outcome) => {
        await query('ROLLBACK');
        return outcome;
      };
      const [sweep] = await query(`SELECT number FROM ${table('sweeps')} LOCK IN SHARE MODE`);
      if (Number(sweep?.number) !== batch.sweep) return undo('swept');
      if (batch.from.position === 0) await this.checkSite(query);
      const journal = await moveJournal(query, table, batch);
      if (journal === undefined) return undo('elsewhere');
      await send(query, this.#inserts(batch, journal), packet);
      const added: AddedKeys[] = [];
      for (const sums of this.sumsOf(batch.deltas, batch.ids)) {
        const affected = affectedBy(await send(query, [statements.addSums(table, sums)], packet));
        // An inserted row counts once, an updated one twice.
        added.push(...addedKeys(batch, sums.period, 2 * sums.length - affected));
      }
      if (!(await this.#count(query, batch, added, packet))) return undo('full');
      await query('COMMIT');
      return 'stored';
    });
  }

  /** Stores the numbers of keys, and removes keys without hits. Returns false if a bucket has too many keys. */
  async #count(
    query: Query,
    { groups, ids }: PreparedBatch,
    added: readonly AddedKeys[],
    packet: number,
  ): Promise<boolean> {
    const { table } = this.session;
    // Locks the rows until the end of the transaction.
    await send(query, [statements.addCounts(table, added)], packet);
    const grown = new Set(added.map(({ place }) => place));
    const changed = new Set(grown);
    for (const place of groups.filter(({ group }) => isNegative(group))) {
      const keys = Array.from(place.group.key, (local) => ids.texts[local]!);
      await send(query, [statements.removeEmpty(table, place, keys)], packet);
      if (place.max !== undefined) changed.add(place);
    }
    if (changed.size === 0) return true;
    const places = new Map([...changed].map((place) => [nameOf(placeOf(place)), place]));
    const counts = await this.budgets.read(query, [...changed]);
    for (const count of counts) {
      const place = places.get(nameOf(count))!;
      // In a bucket that is almost full, or has lost keys, only the exact number is of use.
      if (count.total <= place.max! && place.added === undefined && grown.has(place)) continue;
      count.total = await this.budgets.count(query, place);
      count.isExact = true;
      if (count.total > place.max! && grown.has(place)) return false;
      await query(statements.setCount(table, count));
    }
    this.budgets.learn(counts);
    return true;
  }

  protected createViews(summary: string): Promise<void> {
    return createViews(this.session, summary);
  }

  protected isMissing(error: unknown): boolean {
    return isMissing(error);
  }

  protected isConflict(error: unknown): boolean {
    return isConflict(error);
  }

  protected override clearCaches(): void {
    super.clearCaches();
    this.#lookups.forget();
  }

  *#inserts({ from, records, deltas, ids }: PreparedBatch, journal: number): Generator<RowsStatement> {
    const { table } = this.session;
    const origin = { site: this.site.id, journal, first: from.ordinal };
    yield statements.addRecords(table, origin, records, ids);
    yield statements.addBuckets(table, this.site.id, this.bucketsOf(deltas));
  }
}

/**
 * Returns the keys that a batch may have added to each bucket of a period.
 * @param inserted Number of rows that were added to all of them.
 */
function addedKeys({ groups }: PreparedBatch, period: Period, inserted: number): AddedKeys[] {
  return groups
    .filter(({ group, max }) => group.period === period && max !== undefined)
    .map((place) => ({ place, most: place.added ?? Math.min(inserted, place.group.key.length) }))
    .filter(({ most }) => most > 0);
}
