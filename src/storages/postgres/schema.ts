import { TrackUsageError } from '../../errors.ts';
import { checkVersion } from '../../storage/checks.ts';
import { PERIODS } from '../../summaries/periods.ts';
import { STANDARD_SUMMARIES } from '../../summaries/standard.ts';
import { periodNumber, UNLIMITED } from '../sql/key-budgets.ts';
import { PERIOD_NAMES, serverRecords, sumsWithKeys, viewName } from '../sql/views.ts';
import type { Session } from './session.ts';

/** Oldest server version that is tested. */
const OLDEST = 15;
/** SQLSTATE of a table that already exists. */
const DUPLICATE_TABLE = '42P07';

/** Names of all tables. */
export const TABLES = [
  ...[
    'schema_version',
    'sites',
    'journals',
    'strings',
    'agents',
    'endpoints',
    'records',
    'series',
    'buckets',
  ],
  ...Object.values(PERIOD_NAMES),
  ...['sweeps', 'leases', 'retention', 'visitor_keys', 'key_counts'],
];

/** Constraint that a bucket has no more keys than allowed. */
export const KEY_BUDGET = 'key_budget';

/**
 * Migrations of the schema. `schema_version` holds how many were applied. `@` is replaced with the schema's
 * name.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE @.sites (
    id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    time_zone text NOT NULL
  );
  -- Stored position of each journal, and the number of records before it.
  CREATE TABLE @.journals (
    id text COLLATE "C" PRIMARY KEY,
    number int4 GENERATED ALWAYS AS IDENTITY,
    position int8 NOT NULL,
    ordinal int8 NOT NULL
  );
  -- Every text once. Other tables refer to its ID; 0 means NULL. The hash is the first half of its SHA-256, because
  -- an index cannot contain long texts.
  CREATE TABLE @.strings (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash uuid NOT NULL UNIQUE,
    text text COLLATE "C" NOT NULL
  );
  -- Parsed user agents, as they were when a record was stored. A newer parser may read the same string differently.
  -- The digest distinguishes the results: it is the first half of the SHA-256 of the parsed result.
  CREATE TABLE @.agents (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    string int8 NOT NULL,
    digest uuid NOT NULL,
    browser text,
    version text,
    platform text,
    bot boolean NOT NULL,
    UNIQUE (string, digest)
  );
  -- Fields that many records share.
  CREATE TABLE @.endpoints (
    id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server_name int8 NOT NULL,
    method int8 NOT NULL,
    protocol int8 NOT NULL,
    route int8 NOT NULL,
    blueprint int8 NOT NULL,
    credentials int4 NOT NULL,
    UNIQUE (server_name, method, protocol, route, blueprint, credentials)
  );
  CREATE TABLE @.records (
    site int4 NOT NULL,
    endpoint int4 NOT NULL,
    date timestamptz NOT NULL,
    -- The record's journal, and its position there.
    journal int4 NOT NULL,
    ordinal int4 NOT NULL,
    status int4 NOT NULL,
    url int8 NOT NULL,
    content_length int8 NOT NULL,
    duration int8 NOT NULL,
    remote_addr int8,
    forwarded_for int8,
    agent int8,
    language int8,
    referrer int8,
    username int8,
    visitor int8,
    country int8,
    extra json,
    PRIMARY KEY (site, date, journal, ordinal)
  );
  CREATE TABLE @.series (
    id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site int4 NOT NULL,
    summary text COLLATE "C" NOT NULL,
    UNIQUE (site, summary)
  );
  -- Start of each bucket in the site's time zone, for manual queries.
  CREATE TABLE @.buckets (
    site int4 NOT NULL,
    bucket timestamptz NOT NULL,
    date text NOT NULL,
    PRIMARY KEY (site, bucket)
  );
  ${Object.values(PERIOD_NAMES)
    .map(
      (table) => `
  CREATE TABLE @.${table} (
    series int4 NOT NULL,
    bucket timestamptz NOT NULL,
    key int8 NOT NULL,
    hits int8 NOT NULL,
    transfer int8 NOT NULL,
    errors int8 NOT NULL,
    duration int8 NOT NULL,
    PRIMARY KEY (series, bucket, key)
  ) WITH (fillfactor = 70);`,
    )
    .join('')}
  `,
  `
  -- Number of the last sweep, which deletes rows that are no longer used. A row's \`seen\` is the last sweep after whose
  -- beginning a writer looked it up.
  CREATE TABLE @.sweeps (number int4 NOT NULL);
  INSERT INTO @.sweeps VALUES (0);
  ALTER TABLE @.strings ADD seen int4 NOT NULL DEFAULT 0;
  ALTER TABLE @.agents ADD seen int4 NOT NULL DEFAULT 0;
  ALTER TABLE @.endpoints ADD seen int4 NOT NULL DEFAULT 0;
  -- Statistics contain texts, which would remain after a person's are deleted.
  ALTER TABLE @.strings ALTER text SET STATISTICS 0;
  -- Tasks that one process at a time performs.
  CREATE TABLE @.leases (
    site int4 NOT NULL,
    task text COLLATE "C" NOT NULL,
    holder text NOT NULL,
    ends timestamptz NOT NULL,
    PRIMARY KEY (site, task)
  );
  -- Retention in force. Data before the horizon, in ms since 1970, is deleted.
  CREATE TABLE @.retention (
    site int4 NOT NULL,
    part text COLLATE "C" NOT NULL,
    keep text NOT NULL,
    horizon int8,
    PRIMARY KEY (site, part)
  );
  -- Keys of the visitor IDs of a site's days, by local date, in hexadecimal digits. Only today's and yesterday's exist.
  CREATE TABLE @.visitor_keys (
    site int4 NOT NULL,
    day text COLLATE "C" NOT NULL,
    secret text NOT NULL,
    PRIMARY KEY (site, day)
  );
  -- Number of keys in each bucket, except NULL and the key of others, and its limit when it was last increased.
  -- Periods: 0 hour, 1 day, 2 month.
  CREATE TABLE @.key_counts (
    series int4 NOT NULL,
    period int2 NOT NULL,
    bucket timestamptz NOT NULL,
    total int4 NOT NULL,
    most int4 NOT NULL,
    PRIMARY KEY (series, period, bucket),
    CONSTRAINT ${KEY_BUDGET} CHECK (total <= most)
  ) WITH (fillfactor = 70);
  ${PERIODS.map(
    (period) => `
  INSERT INTO @.key_counts
    SELECT series, ${periodNumber(period)}, bucket, count(*), ${UNLIMITED} FROM @.${PERIOD_NAMES[period]}
    WHERE key <> 0 GROUP BY series, bucket;`,
  ).join('')}
  `,
  `
  -- Key in sumUrls, where it is not the URL.
  ALTER TABLE @.records ADD url_key int8;
  `,
  `
  -- Body bytes of the request are \`received\`. All are NULL in older records.
  ALTER TABLE @.records ADD path int8, ADD referrer_host int8, ADD campaign int8, ADD class int8, ADD received int8;
  ALTER TABLE @.agents ADD device text;
  CREATE OR REPLACE VIEW @.usage_records AS ${recordsOf('@', '@.records')};
  `,
];

/** Newest schema version that this release supports. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Migrates the schema to the newest version. If several processes start at the same time, one migrates and
 * the others wait.
 */
export async function migrate(session: Session): Promise<void> {
  if ((await versionOf(session)) === SCHEMA_VERSION) return;
  const { schema } = session;
  const steps = MIGRATIONS.map((migration, index) => {
    const step = migration.replaceAll('@', schema);
    return `
      IF (SELECT version FROM ${schema}.schema_version) = ${index} THEN
        ${step}
        UPDATE ${schema}.schema_version SET version = ${index + 1};
      END IF;`;
  });
  try {
    await session.script(`
      SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
      ${lock(session)};
      DO $migrate$ BEGIN
        IF to_regnamespace('${schema}') IS NULL THEN CREATE SCHEMA ${schema}; END IF;
        IF to_regclass('${schema}.schema_version') IS NULL THEN
          CREATE TABLE ${schema}.schema_version (version int4 NOT NULL);
          INSERT INTO ${schema}.schema_version VALUES (0);
        END IF;
        ${steps.join('')}
      END $migrate$;
      ${STANDARD_SUMMARIES.map(({ name }) => views(session, name)).join('')}`);
  } catch (error) {
    if ((error as { code?: string }).code !== DUPLICATE_TABLE) throw error;
    throw new TrackUsageError('STORAGE_FOREIGN', { value: session.label }, { cause: error });
  }
}

/** Returns the schema version, 0 if there is no schema yet. */
export async function versionOf(session: Session): Promise<number> {
  const { schema, label: value } = session;
  const [server] = await session.query<{ version: string; encoding: string; found: string | null }>(
    `SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding,
       to_regclass('${schema}.schema_version')::text AS found`,
  );
  const major = Math.floor(Number(server!.version) / 10_000);
  if (major < OLDEST) {
    throw new TrackUsageError('STORAGE_SERVER', { value, found: major, reason: `is older than ${OLDEST}` });
  }
  if (server!.encoding !== 'UTF8') {
    throw new TrackUsageError('STORAGE_ENCODING', { value, found: server!.encoding, wanted: 'UTF8' });
  }
  if (server!.found === null) return 0;
  const [row] = await session.query<{ version: number }>(`SELECT version FROM ${schema}.schema_version`);
  const found = Number(row?.version ?? 0);
  checkVersion(found, SCHEMA_VERSION, value);
  return found;
}

/** Creates the missing views of a summary, such as `usage_urls_daily`. */
export async function createViews(session: Session, summary: string): Promise<void> {
  const [row] = await session.query<{ found: string | null }>(
    `SELECT to_regclass('${session.schema}.${viewOf(summary, PERIOD_NAMES.month)}')::text AS found`,
  );
  if (row!.found !== null) return;
  await session.script(`${lock(session)}; ${views(session, summary)}`);
}

function lock({ schema }: Session): string {
  return `SELECT pg_advisory_xact_lock(hashtextextended('track-usage ${schema}', 0))`;
}

function views({ schema }: Session, summary: string): string {
  const table = (name: string) => `${schema}.${name}`;
  return Object.values(PERIOD_NAMES)
    .map((sums) => {
      const select = sumsWithKeys(table, table(sums), summary, { order: 'strings.text NULLS LAST' });
      return `CREATE OR REPLACE VIEW ${table(viewOf(summary, sums))} AS ${select};`;
    })
    .join('');
}

function viewOf(summary: string, period: string): string {
  return `usage_${viewName(summary, period)}`;
}

/** Selects records with their texts. `from` is the table, or a selection of its rows. */
export function recordsOf(schema: string, from: string): string {
  return serverRecords((name) => `${schema}.${name}`, from, {
    authorization: 'e.credentials = 1 AS "authorization"',
    notBot: 'false',
  });
}
