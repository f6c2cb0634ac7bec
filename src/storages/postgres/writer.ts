import type { RecordBatch } from '../../batch.ts';
import type { TextColumn } from '../../record.ts';
import type { WriterContext } from '../../storage/contract.ts';
import { isNegative } from '../../storage/key-budget.ts';
import { MEASURES } from '../../storage/measures.ts';
import { OTHERS } from '../../summaries/coverage.ts';
import { PERIODS } from '../../summaries/periods.ts';
import { RECORD_TEXTS } from '../sql/columns.ts';
import type { CurrentSweep } from '../sql/current-sweep.ts';
import type { ServerDialect } from '../sql/dialect.ts';
import { KeyBudgets, type KeyCount, type PlacedGroup, periodNumber } from '../sql/key-budgets.ts';
import {
  type BucketDate,
  ORDINALS,
  type Outcome,
  openSite,
  type PreparedBatch,
  ServerWriter,
} from '../sql/server-writer.ts';
import type { BatchIds } from '../sql/shared-rows.ts';
import type { SumRows } from '../sql/sums.ts';
import { idsOf, int4s, int8s, int8sOrNull, texts, timestamps } from './arrays.ts';
import { dialectOf } from './dialect.ts';
import { lookUpsOf } from './lookups.ts';
import { PostgresMaintenance } from './maintenance.ts';
import { createViews, KEY_BUDGET, migrate } from './schema.ts';
import type { Connection, Session } from './session.ts';
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
    const sweep: CurrentSweep = { number: undefined };
    const lookUps = lookUpsOf(session, statements, sweep);
    const budgets = new KeyBudgets(dialect, '1');
    const maintenance = new PostgresMaintenance(session, dialect, site);
    super(session, { dialect, lookUps, sweep, budgets, maintenance, site }, context);
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

  protected async store(batch: PreparedBatch): Promise<Outcome> {
    const { journal, from, to, records, deltas, groups, ids, sweep } = batch;
    const others = ids.texts[records.strings.indexOf(OTHERS)] ?? 0;
    const sums = this.sumsOf(deltas, ids);
    const values = [
      ...[journal, to.position, to.ordinal, from.position, this.site.id, this.site.name, sweep, others],
      ...recordColumns(records, from.ordinal, ids),
      ...dateColumns(this.bucketsOf(deltas)),
      ...sums.flatMap(sumColumns),
      ...budgetColumns(groups),
    ];
    const apply = async (connection: Connection) =>
      (await connection.query<Applied>(this.#statements.apply, values))[0]!;
    let applied: Applied;
    try {
      applied = deltas.some(isNegative)
        ? await this.session.transaction('ISOLATION LEVEL READ COMMITTED', async (connection) => {
            const found = await apply(connection);
            await connection.query(this.#statements.removeEmpty, [others, ...sums.flatMap(keyColumns)]);
            return found;
          })
        : await apply(this.session);
    } catch (error) {
      if ((error as { constraint?: string }).constraint === KEY_BUDGET) return 'full';
      throw error;
    }
    if (Number(applied.current) === 0) return 'swept';
    if (Number(applied.moved) === 1) {
      this.budgets.learn(countsOf(applied.counts));
      return 'stored';
    }
    await this.checkSite((sql) => this.session.query(sql));
    return 'elsewhere';
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

/** Result of storing a batch. */
interface Applied {
  /** 1 if the journal's position was moved. */
  moved: number;
  /** 1 if no other sweep has begun. */
  current: number;
  /** Counts of the keys that changed, as JSON. */
  counts: string | null;
}

function countsOf(counts: string | null): KeyCount[] {
  const found = JSON.parse(counts ?? '[]') as [
    series: number,
    period: number,
    bucket: number,
    total: number,
  ][];
  return found.map(([series, period, bucket, total]) => {
    return { series, period: PERIODS[period]!, bucket, total, isExact: true };
  });
}

/** Returns the parameters in the order of the statement. */
function recordColumns(
  { length, text, date, duration, contentLength, received, status, extra }: RecordBatch,
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
    int8sOrNull(received, length),
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

/** Returns the parameters in the order of the statement. */
function keyColumns({ series, bucket, key }: SumRows): Buffer[] {
  return [int4s(series), timestamps(bucket), int8s(key)];
}

/** Returns the parameters in the order of the statement: one budget for each summary and period. */
function budgetColumns(groups: readonly PlacedGroup[]): Buffer[] {
  const budgets = new Map<string, [series: number, period: number, most: number]>();
  for (const { series, max, group } of groups) {
    if (max === undefined) continue;
    const period = periodNumber(group.period);
    budgets.set(`${series} ${period}`, [series, period, max]);
  }
  return [0, 1, 2].map((n) => int4s([...budgets.values()].map((budget) => budget[n]!)));
}
