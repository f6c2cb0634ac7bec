import { createHash } from 'node:crypto';
import { TrackUsageError } from '../../errors.ts';
import { checkVersion } from '../../storage/checks.ts';
import { STANDARD_SUMMARIES } from '../../summaries/standard.ts';
import { numberOf, TABLE_DENIED, TABLE_EXISTS, UNKNOWN_DATABASE } from './failures.ts';
import { text } from './literals.ts';
import type { Query, Session } from './session.ts';
import {
  type AddedColumn,
  MARK,
  MIGRATIONS,
  SCHEMA_VERSION,
  TABLE_NAMES,
  VERSION_TABLE,
  versionTable,
} from './tables.ts';
import { createView, SUMMARY_VIEWS, viewOfRecords, viewOfSummary } from './views.ts';

/** Oldest supported servers. For MariaDB, the oldest that is tested. */
const OLDEST = { mariadb: { name: 'MariaDB', version: [10, 11] }, mysql: { name: 'MySQL', version: [8, 0] } };
/** Maximum time that another process may take to migrate. In s. */
const LOCK_TIMEOUT = 50;
const RECORDS_VIEW = 'records';

/**
 * Migrates the tables to the newest version. If several processes start at the same time, one migrates and
 * the others wait.
 */
export async function migrate(session: Session): Promise<void> {
  const find = () => session.lease((query) => versionWith(session, query));
  let found: number;
  try {
    found = await find();
  } catch (error) {
    if (!session.createDatabase || numberOf(error) !== UNKNOWN_DATABASE) throw error;
    await session.createDatabase();
    found = await find();
  }
  if (found !== SCHEMA_VERSION) await session.lease((query) => migrateWith(session, query));
}

async function migrateWith(session: Session, query: Query): Promise<void> {
  const { table } = session;
  const lock = lockOf(session);
  const [locked] = await query(`SELECT GET_LOCK('${lock}', ${LOCK_TIMEOUT}) AS locked`);
  // If this fails, the lock is released together with the connection.
  if (locked!.locked !== '1') throw new Error('timed out waiting for another process to migrate the tables');
  const views = STANDARD_SUMMARIES.flatMap(({ name }) => SUMMARY_VIEWS.map(({ nameOf }) => nameOf(name)));
  const present = await namesIn(session, query, [...TABLE_NAMES, RECORDS_VIEW, ...views]);
  if (present.length > 0 && !present.includes(VERSION_TABLE)) {
    throw new TrackUsageError('STORAGE_FOREIGN', { value: session.label });
  }
  const version = table(VERSION_TABLE);
  await query(versionTable(version));
  await query(`INSERT INTO ${version} (id, version) VALUES (1, 0) ON DUPLICATE KEY UPDATE id = id`);
  const from = await versionWith(session, query);
  for (const statement of MIGRATIONS.slice(from).flat()) {
    if (typeof statement === 'object') await addColumn(session, query, statement);
    else await query(statement.replace(/@(\w+)/g, (_, name: string) => table(name)));
  }
  const records = [table(RECORDS_VIEW), viewOfRecords(table)] as const;
  if (from > 0) await replaceView(query, createView(...records, 'CREATE OR REPLACE'));
  await addView(query, createView(...records));
  for (const { name } of STANDARD_SUMMARIES) await createViewsWith(session, query, name);
  // Written last, because every statement can be repeated.
  await query(`UPDATE ${version} SET version = ${SCHEMA_VERSION} WHERE id = 1`);
  await query(`SELECT RELEASE_LOCK('${lock}')`);
}

/** Returns the schema version, 0 if there are no tables or no database yet. */
export async function versionOf(session: Session): Promise<number> {
  try {
    return await session.lease((query) => versionWith(session, query));
  } catch (error) {
    if (numberOf(error) === UNKNOWN_DATABASE) return 0;
    throw error;
  }
}

/** Returns the schema version, 0 if there are no tables yet. */
async function versionWith(session: Session, query: Query): Promise<number> {
  const { label: value, location, table } = session;
  const [server] = await query('SELECT VERSION() AS version');
  checkServer(value, server!.version!);
  const [mark] = await query(`
    SELECT table_comment AS comment FROM information_schema.tables
    WHERE table_schema = ${text(location.database)} AND table_name = ${text(location.prefix + VERSION_TABLE)}`);
  if (!mark) return 0;
  if (mark.comment !== MARK) throw new TrackUsageError('STORAGE_FOREIGN', { value });
  const [row] = await query(`SELECT version FROM ${table(VERSION_TABLE)}`);
  const found = Number(row?.version ?? 0);
  checkVersion(found, SCHEMA_VERSION, value);
  return found;
}

/**
 * Throws for an unsupported server.
 * @param version Version as reported by the server: `10.11.6-MariaDB-…`, `8.4.3`.
 */
export function checkServer(value: string, version: string): void {
  const { name, version: oldest } = /mariadb/i.test(version) ? OLDEST.mariadb : OLDEST.mysql;
  // Some MariaDB servers report another version before their own.
  const [major = 0, minor = 0] = version
    .replace(/^5\.5\.5-/, '')
    .split(/[.-]/)
    .map(Number);
  if (major > oldest[0]! || (major === oldest[0]! && minor >= oldest[1]!)) return;
  const reason = `is older than ${name} ${oldest.join('.')}`;
  throw new TrackUsageError('STORAGE_SERVER', { value, found: version, reason });
}

/** Creates the missing views of a summary, such as `usage_urls_daily`. */
export async function createViews(session: Session, summary: string): Promise<void> {
  await session.lease((query) => createViewsWith(session, query, summary));
}

async function createViewsWith(session: Session, query: Query, summary: string): Promise<void> {
  const views = SUMMARY_VIEWS.map((view) => ({ ...view, name: view.nameOf(summary) }));
  const present = await namesIn(
    session,
    query,
    views.map(({ name }) => name),
  );
  for (const { name, of } of views) {
    if (present.includes(name)) continue;
    await addView(query, createView(session.table(name), viewOfSummary(session.table, of, summary)));
  }
}

async function addColumn(
  { location: { database, prefix }, table }: Session,
  query: Query,
  { table: name, column, definition }: AddedColumn,
): Promise<void> {
  const [found] = await query(`
    SELECT column_name AS name FROM information_schema.columns WHERE table_schema = ${text(database)}
      AND table_name = ${text(prefix + name)} AND column_name = ${text(column)}`);
  if (!found) await query(`ALTER TABLE ${table(name)} ADD COLUMN ${definition}`);
}

/** Adds a view. `OR REPLACE` would need the right to drop it. */
async function addView(query: Query, statement: string): Promise<void> {
  try {
    await query(statement);
  } catch (error) {
    // Another process added it first, or a process died here.
    if (numberOf(error) !== TABLE_EXISTS) throw error;
  }
}

/** Adds new columns to a view. Without the right to drop it, the old one stays, which only lacks the columns. */
async function replaceView(query: Query, statement: string): Promise<void> {
  try {
    await query(statement);
  } catch (error) {
    if (numberOf(error) !== TABLE_DENIED) throw error;
  }
}

/** Returns the existing tables and views among these. */
async function namesIn(
  { location: { database, prefix } }: Session,
  query: Query,
  names: readonly string[],
): Promise<string[]> {
  const rows = await query(`
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = ${text(database)} AND table_name IN (${names.map((name) => text(prefix + name)).join(', ')})`);
  // On a case-sensitive file system, the server may still compare names case-insensitively.
  return rows.map(({ name }) => name!.slice(prefix.length)).filter((name) => names.includes(name));
}

/** Returns the name of a lock, within the limit of 64 characters. */
function lockOf({ table }: Session): string {
  return `track-usage ${createHash('sha256').update(table('')).digest('hex').slice(0, 32)}`;
}
