import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { afterUndo, rollBack } from '../../platform/sqlite.ts';
import { checkVersion } from '../../storage/checks.ts';
import { STANDARD_SUMMARIES } from '../../summaries/standard.ts';

/** `PRAGMA application_id` that marks the file as ours: "TUsg". */
const APPLICATION_ID = 0x54557367;

/** Table of each period. */
export const TABLES = { hour: 'hourly', day: 'daily', month: 'monthly' } as const;

/**
 * Number of low bits in a record ID below its date: `date in ms × 2^20 + a number that makes it unique`. So
 * records are stored in date order without an index, which would take a third of the file.
 */
export const DATE_SHIFT = 20;

/** Migrations of the schema. `PRAGMA user_version` holds how many were applied to a file. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE sites (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    time_zone TEXT NOT NULL
  );
  -- Stored position of each journal, and the number of records before it.
  CREATE TABLE journals (
    id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    ordinal INTEGER NOT NULL
  ) WITHOUT ROWID;
  -- Every text once. Other tables refer to its ID; 0 means NULL.
  CREATE TABLE strings (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
  );
  -- Parsed user agents, as they were when a record was stored. A newer parser may read the same string differently.
  CREATE TABLE agents (
    id INTEGER PRIMARY KEY,
    string INTEGER NOT NULL,
    browser TEXT,
    version TEXT,
    platform TEXT,
    bot INTEGER NOT NULL
  );
  CREATE INDEX agents_string ON agents (string);
  -- Fields that many records share.
  CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY,
    site INTEGER NOT NULL REFERENCES sites,
    server_name INTEGER NOT NULL,
    method INTEGER NOT NULL,
    protocol INTEGER NOT NULL,
    route INTEGER NOT NULL,
    blueprint INTEGER NOT NULL,
    credentials INTEGER NOT NULL,
    UNIQUE (site, server_name, method, protocol, route, blueprint, credentials)
  );
  CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    endpoint INTEGER NOT NULL REFERENCES endpoints,
    url INTEGER NOT NULL,
    status INTEGER NOT NULL,
    content_length INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    remote_addr INTEGER,
    forwarded_for INTEGER,
    agent INTEGER,
    language INTEGER,
    referrer INTEGER,
    username INTEGER,
    visitor INTEGER,
    country INTEGER,
    extra TEXT
  );
  CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    site INTEGER NOT NULL REFERENCES sites,
    summary TEXT NOT NULL,
    UNIQUE (site, summary)
  );
  -- Start of each bucket in the site's time zone, for manual queries.
  CREATE TABLE buckets (
    site INTEGER NOT NULL REFERENCES sites,
    bucket INTEGER NOT NULL,
    date TEXT NOT NULL,
    PRIMARY KEY (site, bucket)
  ) WITHOUT ROWID;
  ${Object.values(TABLES)
    .map(
      (table) => `
  CREATE TABLE ${table} (
    series INTEGER NOT NULL REFERENCES series,
    bucket INTEGER NOT NULL,
    key INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    transfer INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    PRIMARY KEY (series, bucket, key)
  ) WITHOUT ROWID;`,
    )
    .join('')}
  CREATE VIEW usage_records AS
  SELECT r.id, strftime('%Y-%m-%dT%H:%M:%fZ', (r.id >> ${DATE_SHIFT}) / 1000.0, 'unixepoch') AS date,
    sites.name AS site, server.text AS server_name, method.text AS method, url.text AS url, route.text AS route,
    protocol.text AS protocol, r.status, r.content_length, r.duration, remote.text AS remote_addr,
    forwarded.text AS forwarded_for, agent.text AS user_agent, agents.browser, agents.version, agents.platform,
    language.text AS language, referrer.text AS referrer, username.text AS username,
    e.credentials AS authorization, visitor.text AS visitor, country.text AS country,
    coalesce(agents.bot, 0) AS bot, blueprint.text AS blueprint, r.extra
  FROM records r
    JOIN endpoints e ON e.id = r.endpoint
    JOIN sites ON sites.id = e.site
    LEFT JOIN strings server ON server.id = e.server_name
    LEFT JOIN strings method ON method.id = e.method
    LEFT JOIN strings protocol ON protocol.id = e.protocol
    LEFT JOIN strings route ON route.id = e.route
    LEFT JOIN strings blueprint ON blueprint.id = e.blueprint
    LEFT JOIN strings url ON url.id = r.url
    LEFT JOIN strings remote ON remote.id = r.remote_addr
    LEFT JOIN strings forwarded ON forwarded.id = r.forwarded_for
    LEFT JOIN agents ON agents.id = r.agent
    LEFT JOIN strings agent ON agent.id = agents.string
    LEFT JOIN strings language ON language.id = r.language
    LEFT JOIN strings referrer ON referrer.id = r.referrer
    LEFT JOIN strings username ON username.id = r.username
    LEFT JOIN strings visitor ON visitor.id = r.visitor
    LEFT JOIN strings country ON country.id = r.country;
  `,
];

/** Newest schema version that this release supports. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Migrates the file to the newest schema, in one transaction. If several processes start at the same time,
 * one migrates and the others wait. Refuses files that are not ours or newer than this release.
 */
export function migrate(database: DatabaseSync, path: string): void {
  // Checked before the mode is set, which SQLite writes to the file: a file that is not ours stays unchanged.
  const found = versionOf(database, path);
  database.exec('PRAGMA journal_mode = WAL');
  if (found === SCHEMA_VERSION) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    const version = versionOf(database, path);
    if (version === 0) dropViews(database);
    for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
    for (const { name } of STANDARD_SUMMARIES) createViews(database, name);
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}`);
    database.exec('COMMIT');
  } catch (error) {
    throw afterUndo(error, () => rollBack(database));
  }
}

/**
 * Replaces SQLite's own errors for a file of another type (26: SQLITE_NOTADB) and a missing directory (14:
 * SQLITE_CANTOPEN), which name neither.
 */
export function namedError(error: unknown, path: string): unknown {
  const { errcode = 0, code } = error as { errcode?: number; code?: string };
  if (errcode === 26) return new TrackUsageError('STORAGE_FOREIGN', { value: path }, { cause: error });
  if ((errcode & 0xff) !== 14 || !isMissing(dirname(path))) return error;
  const message = `${reasonOf(error)}: the directory ${dirname(path)} does not exist`;
  return Object.assign(new Error(message, { cause: error }), { errcode, code });
}

/** Returns whether a directory does not exist. Returns false if that is unknown. */
function isMissing(directory: string): boolean {
  try {
    return statSync(directory, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

/**
 * Returns the schema version, 0 if the file is still empty or all its tables were dropped. Throws for a file that is
 * not ours.
 */
export function versionOf(database: DatabaseSync, path: string): number {
  const pragma = (name: string) => Number(Object.values(database.prepare(`PRAGMA ${name}`).get()!)[0]);
  const version = pragma('user_version');
  const objects = database.prepare('SELECT type FROM sqlite_master').all();
  if (pragma('application_id') !== APPLICATION_ID) {
    if (version > 0 || objects.length > 0) throw new TrackUsageError('STORAGE_FOREIGN', { value: path });
    return 0;
  }
  checkVersion(version, SCHEMA_VERSION, path);
  return objects.some(({ type }) => type === 'table') ? version : 0;
}

/** Drops the views that remain after their tables were dropped. */
function dropViews(database: DatabaseSync): void {
  for (const { name } of database.prepare("SELECT name FROM sqlite_master WHERE type = 'view'").all()) {
    database.exec(`DROP VIEW "${String(name).replaceAll('"', '""')}"`);
  }
}

/** Creates a view for each period of a summary, such as `usage_urls_daily`. */
export function createViews(database: DatabaseSync, summary: string): void {
  for (const table of Object.values(TABLES)) {
    database.exec(`
      CREATE VIEW IF NOT EXISTS "usage_${summary.replaceAll('-', '_')}_${table}" AS
      SELECT sites.name AS site, buckets.date, strings.text AS key, t.hits, t.transfer, t.errors, t.duration
      FROM ${table} t
        JOIN series ON series.id = t.series AND series.summary = '${summary.replaceAll("'", "''")}'
        JOIN sites ON sites.id = series.site
        JOIN buckets ON buckets.site = series.site AND buckets.bucket = t.bucket
        LEFT JOIN strings ON strings.id = t.key
      ORDER BY t.bucket DESC, t.hits DESC, t.key = 0, strings.text`);
  }
}
