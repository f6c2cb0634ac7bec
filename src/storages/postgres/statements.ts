import { MEASURES } from '../../storage/measures.ts';
import { PERIODS } from '../../summaries/periods.ts';
import { addingUp, ENDPOINT_COLUMNS, RECORD_TEXTS } from '../sql/columns.ts';
import { periodNumber } from '../sql/key-budgets.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import { ms } from './dialect.ts';

/** Columns of `records` that every batch provides, and their types. */
const RECORD = {
  endpoint: 'int4',
  date: 'timestamptz',
  ordinal: 'int4',
  status: 'int4',
  content_length: 'int8',
  duration: 'int8',
  ...Object.fromEntries(Object.values(RECORD_TEXTS).map((column) => [column, 'int8'])),
  agent: 'int8',
  received: 'int8',
  extra: 'text',
};

const SUM = {
  series: 'int4',
  bucket: 'timestamptz',
  key: 'int8',
  ...Object.fromEntries(MEASURES.map((measure) => [measure, 'int8'])),
};

/** Values of the group's budget: its summary, its period's number, and its maximum number of keys. */
const BUDGET = { series: 'int4', period: 'int4', most: 'int4' };

/** Columns that identify a row in the sums. */
const SUM_KEY = { series: 'int4', bucket: 'timestamptz', key: 'int8' };

export type Statements = ReturnType<typeof statementsOf>;

/**
 * Returns the statements of a schema that take arrays. Their parameters are documented where they are passed:
 * `lookups.ts` and `writer.ts`.
 */
export function statementsOf(schema: string) {
  const hex = (column: string) => `replace(${column}::text, '-', '') AS ${column}`;
  return {
    texts: lookUp(`${schema}.strings`, { hash: 'uuid', text: 'text' }, ['hash'], hex('hash')),
    endpoints: lookUp(
      `${schema}.endpoints`,
      Object.fromEntries(
        ENDPOINT_COLUMNS.map((column) => [column, column === 'credentials' ? 'int4' : 'int8']),
      ),
      ENDPOINT_COLUMNS,
      ENDPOINT_COLUMNS.join(', '),
    ),
    agents: lookUp(
      `${schema}.agents`,
      {
        ...{ string: 'int8', digest: 'uuid', browser: 'text', version: 'text', platform: 'text' },
        ...{ bot: 'boolean', device: 'text' },
      },
      ['string', 'digest'],
      `string, ${hex('digest')}`,
    ),
    apply: apply(schema),
    removeEmpty: removeEmpty(schema),
  };
}

/**
 * Returns a statement that finds rows and adds the missing ones. Rows that were last looked up before a sweep began are
 * marked, so that the sweep does not delete them. They are locked in the order of their IDs, so that writers cannot
 * deadlock.
 * @param columns Columns of an added row, and their types.
 * @param keys Columns by which rows are found.
 * @param selected Columns to return beside the ID.
 */
function lookUp(
  table: string,
  columns: Readonly<Record<string, string>>,
  keys: readonly string[],
  selected: string,
): string {
  const names = Object.keys(columns);
  const arrays = Object.values(columns).map((type, n) => `$${n + 2}::${type}[]`);
  const key = keys.join(', ');
  const ofTable = keys.map((name) => `t.${name}`).join(', ');
  return `
    WITH given AS (SELECT * FROM unnest(${arrays.join(', ')}) AS given (${names.join(', ')})),
    found AS (SELECT t.id, t.seen, ${ofTable} FROM given JOIN ${table} t USING (${key})),
    old AS (
      SELECT t.id FROM ${table} t WHERE t.id IN (SELECT id FROM found WHERE seen < $1::int4)
      ORDER BY t.id FOR NO KEY UPDATE
    ),
    marked AS (UPDATE ${table} t SET seen = $1::int4 FROM old WHERE t.id = old.id RETURNING t.id, ${ofTable}),
    known AS (
      SELECT id, ${key} FROM found WHERE seen >= $1::int4
      UNION ALL SELECT id, ${key} FROM marked
    ),
    added AS (
      INSERT INTO ${table} (${names.join(', ')}, seen)
      SELECT ${names.join(', ')}, $1::int4 FROM given WHERE (${key}) NOT IN (SELECT ${key} FROM known)
      ON CONFLICT DO NOTHING RETURNING id, ${key}
    )
    SELECT id, ${selected} FROM known UNION ALL SELECT id, ${selected} FROM added`;
}

/**
 * Returns the statement that stores a whole batch atomically. It stores nothing if the journal's position
 * differs from `from`, or if a sweep has begun since the IDs were looked up. Neither does it if the site has another
 * ID, because the database was recreated. It fails if a bucket would have too many keys. The commit is always flushed
 * to disk: the journal no longer has what a crashing server would lose.
 */
function apply(schema: string): string {
  let next = 1;
  const value = (type: string) => `$${next++}::${type}`;
  const [journal, position, ordinal, from, site, name, sweep, others] = [
    ...['text', 'int8', 'int8', 'int8', 'int4', 'text', 'int4', 'int8'],
  ].map(value);
  const unnest = (columns: Record<string, string>) => {
    const arrays = Object.values(columns).map((type) => value(`${type}[]`));
    return `unnest(${arrays.join(', ')}) AS given (${Object.keys(columns).join(', ')})`;
  };
  const recordColumns = Object.keys(RECORD).join(', ');
  const records = `
    INSERT INTO ${schema}.records (site, journal, ${recordColumns})
    SELECT ${site}, journal.number, ${recordColumns.replace('extra', 'extra::json')}
    FROM journal, ${unnest(RECORD)}`;
  const buckets = `
    INSERT INTO ${schema}.buckets (site, bucket, date)
    SELECT ${site}, bucket, date FROM journal, ${unnest({ bucket: 'timestamptz', date: 'text' })}
    ON CONFLICT DO NOTHING`;
  const sums = Object.values(PERIOD_NAMES).map(
    (table) => `
    ${table} AS (
      INSERT INTO ${schema}.${table} AS t (${Object.keys(SUM).join(', ')})
      SELECT given.* FROM journal, ${unnest(SUM)}
      ON CONFLICT (series, bucket, key) DO UPDATE
      SET ${addingUp((measure) => `t.${measure} + excluded.${measure}`)}
      -- Only an updated row was locked before.
      RETURNING t.series, t.bucket, t.xmax = 0 AND t.key <> 0 AND t.key <> ${others} AS is_new
    )`,
  );
  const added = PERIODS.map(
    (period) => `
      SELECT series, ${periodNumber(period)} AS period, bucket, count(*) AS total FROM ${PERIOD_NAMES[period]}
      WHERE is_new GROUP BY series, bucket`,
  );
  return `
    WITH sweep AS MATERIALIZED (SELECT FROM ${schema}.sweeps WHERE number = ${sweep} FOR SHARE),
    moved AS (
      UPDATE ${schema}.journals SET position = ${position}, ordinal = ${ordinal}
      WHERE id = ${journal} AND position = ${from} AND EXISTS (SELECT FROM sweep) RETURNING number
    ),
    made AS (
      INSERT INTO ${schema}.journals (id, position, ordinal)
      SELECT ${journal}, ${position}, ${ordinal} WHERE ${from} = 0 AND NOT EXISTS (SELECT FROM moved)
        AND EXISTS (SELECT FROM sweep)
        AND EXISTS (SELECT FROM ${schema}.sites WHERE id = ${site} AND name = ${name})
      ON CONFLICT DO NOTHING RETURNING number
    ),
    journal AS (SELECT number FROM moved UNION ALL SELECT number FROM made),
    records AS (${records}),
    buckets AS (${buckets}),
    ${sums.join(',')},
    counted AS (
      INSERT INTO ${schema}.key_counts AS c (series, period, bucket, total, most)
      SELECT series, period, bucket, total, most FROM (${added.join(' UNION ALL ')}) added
        JOIN ${unnest(BUDGET)} USING (series, period)
      ORDER BY series, period, bucket
      ON CONFLICT (series, period, bucket) DO UPDATE SET total = c.total + excluded.total, most = excluded.most
      RETURNING json_build_array(series, period, ${ms('bucket')}, total) AS count
    )
    SELECT (SELECT count(*)::int4 FROM journal) AS moved, (SELECT count(*)::int4 FROM sweep) AS current,
      (SELECT json_agg(count)::text FROM counted) AS counts, set_config('synchronous_commit',
      CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`;
}

/** Returns the statement that deletes the rows without hits among some sums, and counts them. */
function removeEmpty(schema: string): string {
  const arrays = Object.values(SUM_KEY);
  const deleted = PERIODS.map((period, n) => {
    const table = PERIOD_NAMES[period];
    const given = arrays.map((type, i) => `$${2 + n * arrays.length + i}::${type}[]`).join(', ');
    return `
    ${table} AS (
      DELETE FROM ${schema}.${table} t USING unnest(${given}) AS given (${Object.keys(SUM_KEY).join(', ')})
      WHERE t.series = given.series AND t.bucket = given.bucket AND t.key = given.key AND t.hits = 0
      RETURNING t.series, ${periodNumber(period)} AS period, t.bucket, t.key
    )`;
  });
  return `
    WITH ${deleted.join(',')},
    gone AS (
      SELECT series, period, bucket, count(*) AS total
      FROM (${Object.values(PERIOD_NAMES)
        .map((table) => `SELECT * FROM ${table}`)
        .join(' UNION ALL ')}) deleted
      WHERE key <> 0 AND key <> $1::int8 GROUP BY series, period, bucket
    )
    UPDATE ${schema}.key_counts c SET total = c.total - gone.total FROM gone
    WHERE c.series = gone.series AND c.period = gone.period AND c.bucket = gone.bucket`;
}
