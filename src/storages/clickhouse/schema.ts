import { TrackUsageError } from '../../errors.ts';
import { checkTimeZone, checkVersion } from '../../storage/checks.ts';
import type { WriterContext } from '../../storage/contract.ts';
import { literal, type Statements } from './client.ts';
import type { ClickhouseLocation } from './options.ts';
import { engineOf, identityOf, type Tables, unqualified } from './table-names.ts';
import { COMMENT, creation, localName, migration, SCHEMA_VERSION, TABLES, versioning } from './tables.ts';
import { applyTtl } from './ttl.ts';

/** Settings that the server must support. */
const WANTED_SETTINGS = ['insert_deduplication_token', 'input_format_native_allow_types_conversion'];

/** Result of setting up the tables. */
export interface Setup {
  replicated: boolean;
  /** Identity of the tables, constant as long as they exist: see `identityOf`. */
  identity: string;
}

/** Checks the existing tables and creates the missing ones. */
export async function setUp(
  statements: Statements,
  tables: Tables,
  location: ClickhouseLocation,
  context: WriterContext,
): Promise<Setup> {
  await prepare(statements, tables, location, context.durable);
  await openSite(statements, tables, location, context);
  await applyTtl(statements, tables, context);
  return {
    replicated: await isReplicated(statements, tables),
    identity: await identityOf(statements, tables),
  };
}

/**
 * Creates the tables, or migrates them to the newest schema. ClickHouse has no locks for this. So each
 * statement must be idempotent and safe to run concurrently, and the version is written last.
 */
async function prepare(
  statements: Statements,
  tables: Tables,
  location: ClickhouseLocation,
  durable: boolean,
): Promise<void> {
  const { naming } = tables;
  const version = await versionOf(statements, tables, location);
  if (version < SCHEMA_VERSION) {
    const query = `SELECT name FROM system.databases WHERE name = ${literal(tables.database)}`;
    // A user without the right to create databases may still create tables in one.
    if ((await statements.rows(query)).length === 0) {
      await statements.run(`CREATE DATABASE IF NOT EXISTS ${naming.database} ${naming.onCluster}`);
    }
    const changes = version === 0 ? [] : [...migration(naming), ...versioning(naming)];
    for (const statement of [...creation(naming), ...changes]) await statements.run(statement);
  }
  if (durable) await makeDurable(statements, tables);
}

/** Returns whether the engine replicates data, as ClickHouse Cloud does by default. */
async function isReplicated(statements: Statements, tables: Tables): Promise<boolean> {
  return /^(?:Replicated|Shared)/.test(await engineOf(statements, tables, 'usage_sums'));
}

/** Returns the site's time zone, which the first process has set. */
async function openSite(
  statements: Statements,
  tables: Tables,
  { label }: ClickhouseLocation,
  context: WriterContext,
): Promise<void> {
  const { site, timeZone } = context;
  let found = await timeZoneOf(statements, tables, site);
  if (found === undefined) {
    // With several shards, always the same one.
    const setting = tables.naming.cluster ? 'SETTINGS insert_shard_id = 1' : '';
    await statements.run(
      `INSERT INTO ${tables.sites} (site, time_zone) ${setting} VALUES (${literal(site)}, ${literal(timeZone)})`,
    );
    found = await timeZoneOf(statements, tables, site);
  }
  if (found !== undefined) checkTimeZone(context, found, label);
}

/** Throws if the time zone of the site has been changed. */
export async function checkSite(
  statements: Statements,
  tables: Tables,
  { label }: ClickhouseLocation,
  context: WriterContext,
): Promise<void> {
  const found = await timeZoneOf(statements, tables, context.site);
  if (found !== undefined) checkTimeZone(context, found, label);
}

export async function timeZoneOf(
  statements: Statements,
  { sites }: Tables,
  site: string,
): Promise<string | undefined> {
  const [row] = await statements.rows<{ time_zone: string }>(
    `SELECT time_zone FROM ${sites} WHERE site = ${literal(site)} ORDER BY created, time_zone LIMIT 1`,
  );
  return row?.time_zone;
}

async function checkServer(statements: Statements, { label }: ClickhouseLocation): Promise<void> {
  const wanted = WANTED_SETTINGS.map(literal).join(', ');
  const [server] = await statements.rows<{ version: string; known: number }>(
    `SELECT version() AS version, (SELECT count() FROM system.settings WHERE name IN (${wanted})) AS known`,
  );
  if (Number(server?.known) < WANTED_SETTINGS.length) {
    const reason = `does not support the settings ${WANTED_SETTINGS.join(' and ')}`;
    throw new TrackUsageError('STORAGE_SERVER', { value: label, found: server?.version, reason });
  }
}

/** Returns the schema version, 0 if there are no tables yet. Throws for an unsupported server. */
export async function versionOf(
  statements: Statements,
  tables: Tables,
  location: ClickhouseLocation,
): Promise<number> {
  await checkServer(statements, location);
  const { label } = location;
  const names = [...TABLES.map((table) => unqualified(table, tables)), ...TABLES].map(literal);
  const found = await statements.rows<{ name: string; comment: string }>(
    `SELECT name, comment FROM system.tables
     WHERE database = ${literal(tables.database)} AND name IN (${names.join(', ')})`,
  );
  for (const { comment } of found) {
    if (!comment.startsWith(COMMENT)) throw new TrackUsageError('STORAGE_FOREIGN', { value: label });
  }
  const sums = found.find(({ name }) => name === 'usage_sums');
  const version = sums ? Number(sums.comment.slice(COMMENT.length)) : 0;
  checkVersion(version, SCHEMA_VERSION, label);
  return version;
}

/** Makes an insert return only after its part is on disk. */
async function makeDurable(statements: Statements, tables: Tables): Promise<void> {
  for (const table of ['usage_records', 'usage_sums'] as const) {
    if (/\bfsync_after_insert = 1\b/.test(await engineOf(statements, tables, table))) continue;
    await statements.run(
      `ALTER TABLE ${localName(table, tables.naming)} ${tables.naming.onCluster}
       MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1`,
    );
  }
}
