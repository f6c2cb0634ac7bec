import type { RecordBatch } from '../../batch.ts';
import type { TextColumn } from '../../record.ts';
import type { Batch, WriterContext } from '../../storage/contract.ts';
import { MEASURES } from '../../storage/measures.ts';
import { RECORD_TEXTS } from '../sql/columns.ts';
import type { ServerDialect } from '../sql/dialect.ts';
import { type BucketDate, ORDINALS, openSite, ServerWriter } from '../sql/server-writer.ts';
import type { BatchIds } from '../sql/shared-rows.ts';
import type { SumRows } from '../sql/sums.ts';
import { idsOf, int4s, int8s, texts, timestamps } from './arrays.ts';
import { dialectOf } from './dialect.ts';
import { lookUpsOf } from './lookups.ts';
import { createViews, migrate } from './schema.ts';
import type { Session } from './session.ts';
import { type Statements, statementsOf } from './statements.ts';

/** Classes of SQLSTATE for a refused value: data exceptions, constraint violations, program limits. */
const REFUSALS = new Set(['22', '23', '54']);
/** SQLSTATEs of a missing table, schema and database. */
const MISSING = new Set(['42P01', '3F000', '3D000']);
const TEXTS = Object.keys(RECORD_TEXTS) as TextColumn[];

export class PostgresWriter extends ServerWriter<Session> {
  readonly #statements: Statements;

  private constructor(session: Session, dialect: ServerDialect, site: number, context: WriterContext) {
    const statements = statementsOf(session.schema);
    super(session, dialect, lookUpsOf(session, statements), site, context);
    this.#statements = statements;
  }

  static async open(session: Session, context: WriterContext): Promise<PostgresWriter> {
    await migrate(session);
    const dialect = dialectOf(session);
    return new PostgresWriter(session, dialect, await openSite(session, dialect, context), context);
  }

  refuses(error: unknown): boolean {
    const { code } = error as { code?: unknown };
    return typeof code === 'string' && code.length === 5 && REFUSALS.has(code.slice(0, 2));
  }

  protected async store(batch: Batch, ids: BatchIds): Promise<boolean> {
    const { journal, from, to, records, deltas } = batch;
    const [row] = await this.session.query<{ moved: number }>(this.#statements.apply, [
      ...[journal, to.position, to.ordinal, from.position, this.site.id, this.site.name],
      ...recordColumns(records, from.ordinal, ids),
      ...dateColumns(this.newBuckets(deltas)),
      ...this.sumsOf(deltas, ids).flatMap(sumColumns),
    ]);
    if (Number(row!.moved) === 1) return true;
    await this.checkSite((sql) => this.session.query(sql));
    return false;
  }

  protected createViews(summary: string): Promise<void> {
    return createViews(this.session, summary);
  }

  protected isMissing(error: unknown): boolean {
    return MISSING.has((error as { code?: string }).code ?? '');
  }

  /** Storing takes one statement, so deadlocks are rare: the batch is then retried like after any failure. */
  protected isConflict(): boolean {
    return false;
  }
}

/** Returns the parameters in the order of the statement. */
function recordColumns(
  { length, text, date, duration, contentLength, status, extra }: RecordBatch,
  first: number,
  { texts: ids, endpoints, agents }: BatchIds,
): Buffer[] {
  return [
    int4s(endpoints),
    timestamps(date, length),
    int4s(Int32Array.from({ length }, (_, i) => (first + i) % ORDINALS)),
    int4s(status, length),
    int8s(contentLength, length),
    int8s(duration, length),
    ...TEXTS.map((column) => idsOf(text[column], ids, length)),
    idsOf(Int32Array.from(agents.keys()), agents, length),
    texts(Array.from({ length }, (_, i) => extra.get(i) ?? null)),
  ];
}

/** Returns the parameters in the order of the statement. */
function dateColumns(dates: readonly BucketDate[]): Buffer[] {
  return [timestamps(dates.map(({ bucket }) => bucket)), texts(dates.map(({ date }) => date))];
}

/** Returns the parameters in the order of the statement. */
function sumColumns({ series, bucket, key, ...sums }: SumRows): Buffer[] {
  return [int4s(series), timestamps(bucket), int8s(key), ...MEASURES.map((measure) => int8s(sums[measure]))];
}
