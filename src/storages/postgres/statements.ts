import { MEASURES } from '../../storage/measures.ts';
import { addingUp, ENDPOINT_COLUMNS, RECORD_TEXTS } from '../sql/columns.ts';
import { PERIOD_NAMES } from '../sql/views.ts';

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
  extra: 'text',
};

const SUM = {
  series: 'int4',
  bucket: 'timestamptz',
  key: 'int8',
  ...Object.fromEntries(MEASURES.map((measure) => [measure, 'int8'])),
};

export type Statements = ReturnType<typeof statementsOf>;

/**
 * Returns the statements of a schema that take arrays. Their parameters are documented where they are passed:
 * `lookups.ts` and `writer.ts`.
 */
export function statementsOf(schema: string) {
  return {
    texts: `
      WITH given AS (SELECT * FROM unnest($1::uuid[], $2::text[]) AS given (hash, text)),
      found AS (SELECT s.hash, s.id FROM given JOIN ${schema}.strings s USING (hash)),
      added AS (
        INSERT INTO ${schema}.strings (hash, text)
        SELECT hash, text FROM given WHERE hash NOT IN (SELECT hash FROM found)
        ON CONFLICT DO NOTHING RETURNING hash, id
      )
      SELECT replace(hash::text, '-', '') AS hash, id FROM found
      UNION ALL SELECT replace(hash::text, '-', ''), id FROM added`,
    endpoints: endpoints(schema),
    agents: `
      WITH given AS (
        SELECT * FROM unnest($1::int8[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int4[])
          AS given (string, digest, browser, version, platform, bot)
      ),
      found AS (SELECT a.string, a.digest, a.id FROM given JOIN ${schema}.agents a USING (string, digest)),
      added AS (
        INSERT INTO ${schema}.agents (string, digest, browser, version, platform, bot)
        SELECT string, digest, browser, version, platform, bot = 1 FROM given
        WHERE (string, digest) NOT IN (SELECT string, digest FROM found)
        ON CONFLICT DO NOTHING RETURNING string, digest, id
      )
      SELECT string, replace(digest::text, '-', '') AS digest, id FROM found
      UNION ALL SELECT string, replace(digest::text, '-', ''), id FROM added`,
    apply: apply(schema),
  };
}

function endpoints(schema: string): string {
  const columns = ENDPOINT_COLUMNS.join(', ');
  return `
    WITH given AS (
      SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int4[])
        AS given (${columns})
    ),
    found AS (SELECT e.* FROM given JOIN ${schema}.endpoints e USING (${columns})),
    added AS (
      INSERT INTO ${schema}.endpoints (${columns})
      SELECT ${columns} FROM given WHERE (${columns}) NOT IN (SELECT ${columns} FROM found)
      ON CONFLICT DO NOTHING RETURNING *
    )
    SELECT id, ${columns} FROM found UNION ALL SELECT id, ${columns} FROM added`;
}

/**
 * Returns the statement that stores a whole batch atomically. It stores nothing if the journal's position
 * differs from `from`. Neither does it if the site has another ID, because the database was recreated. The
 * commit is always flushed to disk: the journal no longer has what a crashing server would lose.
 */
function apply(schema: string): string {
  let next = 1;
  const value = (type: string) => `$${next++}::${type}`;
  const [journal, position, ordinal, from, site, name] = ['text', 'int8', 'int8', 'int8', 'int4', 'text'].map(
    value,
  );
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
    )`,
  );
  return `
    WITH moved AS (
      UPDATE ${schema}.journals SET position = ${position}, ordinal = ${ordinal}
      WHERE id = ${journal} AND position = ${from} RETURNING number
    ),
    made AS (
      INSERT INTO ${schema}.journals (id, position, ordinal)
      SELECT ${journal}, ${position}, ${ordinal} WHERE ${from} = 0 AND NOT EXISTS (SELECT FROM moved)
        AND EXISTS (SELECT FROM ${schema}.sites WHERE id = ${site} AND name = ${name})
      ON CONFLICT DO NOTHING RETURNING number
    ),
    journal AS (SELECT number FROM moved UNION ALL SELECT number FROM made),
    records AS (${records}),
    buckets AS (${buckets}),
    ${sums.join(',')}
    SELECT count(*)::int4 AS moved, set_config('synchronous_commit',
      CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)
    FROM journal`;
}
