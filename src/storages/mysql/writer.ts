import type { Batch, WriterContext } from '../../storage/contract.ts';
import type { ServerDialect } from '../sql/dialect.ts';
import { openSite, ServerWriter } from '../sql/server-writer.ts';
import type { BatchIds } from '../sql/shared-rows.ts';
import { hashOf } from '../sql/texts.ts';
import { dialectOf } from './dialect.ts';
import { warnIfNotDurable } from './durability.ts';
import { isConflict, isMissing, isRefusal } from './failures.ts';
import { moveJournal } from './journals.ts';
import { binary } from './literals.ts';
import { Lookups } from './lookups.ts';
import { type RowsStatement, send } from './packets.ts';
import { createViews, migrate } from './schema.ts';
import type { Session } from './session.ts';
import * as statements from './statements.ts';

export class MysqlWriter extends ServerWriter<Session> {
  readonly #lookups: Lookups;

  private constructor(session: Session, dialect: ServerDialect, site: number, context: WriterContext) {
    const lookups = new Lookups(session);
    super(session, dialect, lookups, site, context);
    this.#lookups = lookups;
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

  protected async store(batch: Batch, ids: BatchIds): Promise<boolean> {
    const packet = await this.#lookups.packet();
    return this.session.lease(async (query) => {
      await query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await query('START TRANSACTION');
      if (batch.from.position === 0) await this.checkSite(query);
      const journal = await moveJournal(query, this.session.table, batch);
      if (journal === undefined) {
        await query('ROLLBACK');
        return false;
      }
      await send(query, this.#inserts(batch, journal, ids), packet);
      await query('COMMIT');
      return true;
    });
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

  *#inserts({ from, records, deltas }: Batch, journal: number, ids: BatchIds): Generator<RowsStatement> {
    const { table } = this.session;
    const origin = { site: this.site.id, journal, first: from.ordinal };
    yield statements.addRecords(table, origin, records, ids);
    yield statements.addBuckets(table, this.site.id, this.newBuckets(deltas));
    for (const sums of this.sumsOf(deltas, ids)) yield statements.addSums(table, sums);
  }
}
