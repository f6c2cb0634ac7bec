import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { afterUndo, rollBack, sqlite } from '../../platform/sqlite.ts';
import { checkVersion } from '../../storage/checks.ts';
import { STANDARD_SUMMARIES } from '../../summaries/standard.ts';
import { PERIOD_NAMES, recordsWithTexts, sumsWithKeys, viewName } from '../sql/views.ts';

/** `PRAGMA application_id` that marks the file as ours: "TUsg". */
const APPLICATION_ID = 0x54557367;

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
  ${Object.values(PERIOD_NAMES)
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
  `,
  `
  -- Number of keys in a bucket, without NULL and the key of others: exact, or an upper bound. Without a row, the keys
  -- have not been counted.
  CREATE TABLE key_counts (
    series INTEGER NOT NULL REFERENCES series,
    period TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    exact INTEGER NOT NULL,
    PRIMARY KEY (series, period, bucket)
  ) WITHOUT ROWID;
  -- Retention in force. Data before the instant "before", in ms since 1970, is deleted.
  CREATE TABLE retention (
    site INTEGER NOT NULL REFERENCES sites,
    part TEXT NOT NULL,
    keep TEXT NOT NULL,
    before INTEGER,
    PRIMARY KEY (site, part)
  ) WITHOUT ROWID;
  -- Processes that perform a task alone, until an instant in ms since 1970.
  CREATE TABLE leases (
    site INTEGER NOT NULL REFERENCES sites,
    task TEXT NOT NULL,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (site, task)
  ) WITHOUT ROWID;
  -- Keys of the visitor IDs of a site's days, by local date. Only today's and yesterday's exist.
  CREATE TABLE visitor_keys (
    site INTEGER NOT NULL REFERENCES sites,
    day TEXT NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (site, day)
  ) WITHOUT ROWID;
  -- The search for unused rows: how often it has started, and whether it is in progress.
  CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL,
    active INTEGER NOT NULL
  );
  INSERT INTO sweeps VALUES (1, 0, 0);
  -- Existing rows of a table that batches have used since the search started.
  CREATE TABLE used_rows (
    name TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (name, id)
  ) WITHOUT ROWID;
  `,
  `
  -- Key in sumUrls, where it is not the URL.
  ALTER TABLE records ADD url_key INTEGER;
  `,
  `
  -- NULL in older records.
  ALTER TABLE records ADD path INTEGER;
  ALTER TABLE records ADD referrer_host INTEGER;
  ALTER TABLE records ADD campaign INTEGER;
  ALTER TABLE records ADD class INTEGER;
  -- Body bytes of the request.
  ALTER TABLE records ADD received INTEGER;
  ALTER TABLE agents ADD device TEXT;
  DROP VIEW IF EXISTS usage_records;
  CREATE VIEW usage_records AS
  ${recordsWithTexts((table) => table, {
    first: `r.id, strftime('%Y-%m-%dT%H:%M:%fZ', (r.id >> ${DATE_SHIFT}) / 1000.0, 'unixepoch') AS date`,
    last: 'r.extra',
    authorization: 'e.credentials AS authorization',
    notBot: '0',
    from: 'records r JOIN endpoints e ON e.id = r.endpoint JOIN sites ON sites.id = e.site',
    agents: 'agents',
  })};
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
  // Free pages can then be returned to the file system step by step. SQLite ignores it if the file has tables.
  if (found === 0) database.exec('PRAGMA auto_vacuum = INCREMENTAL');
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
 * Replaces SQLite's own errors for a file of another type (26: SQLITE_NOTADB) and a path that is no file, which do not
 * name it.
 */
export function namedError(error: unknown, path: string): unknown {
  const { errcode = 0, code } = error as { errcode?: number; code?: string };
  if (errcode === 26) return new TrackUsageError('STORAGE_FOREIGN', { value: path }, { cause: error });
  const reason = reasonOfFile(errcode & 0xff, path);
  if (reason === undefined) return error;
  const message = `${reasonOf(error)}: ${reason}`;
  return Object.assign(new Error(message, { cause: error }), { errcode, code });
}

/** Opens a file for reading, with an error that names it. */
export function openForReading(path: string): DatabaseSync {
  try {
    return new (sqlite().DatabaseSync)(path, { readOnly: true });
  } catch (error) {
    throw namedError(error, path);
  }
}

/** Returns what is wrong with a path, if SQLite cannot open or read its file. 10: SQLITE_IOERR. 14: SQLITE_CANTOPEN. */
function reasonOfFile(code: number, path: string): string | undefined {
  if (code !== 10 && code !== 14) return undefined;
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return `${path} is a directory`;
    const directory = dirname(path);
    const found = statSync(directory, { throwIfNoEntry: false });
    if (found === undefined) return `the directory ${directory} does not exist`;
    return found.isDirectory() ? undefined : `${directory} is not a directory`;
  } catch {
    return undefined;
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
  for (const table of Object.values(PERIOD_NAMES)) {
    const parts = { last: 't.duration', order: 't.key = 0, strings.text' };
    database.exec(
      `CREATE VIEW IF NOT EXISTS "usage_${viewName(summary, table)}" AS ${sumsWithKeys((name) => name, table, summary, parts)}`,
    );
  }
}
