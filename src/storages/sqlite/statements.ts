import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { MEASURES } from '../../storage/measures.ts';
import { addingUp, ENDPOINT_COLUMNS } from '../sql/columns.ts';
import { statementsOf } from '../sql/statements.ts';
import { PERIOD_NAMES } from '../sql/views.ts';
import { dialectOf } from './dialect.ts';
import { DATE_SHIFT } from './schema.ts';

/** Columns of a record besides its ID, in the order of the table. */
const RECORD = [
  ...['endpoint', 'url', 'status', 'content_length', 'duration', 'remote_addr', 'forwarded_for', 'agent'],
  ...['language', 'referrer', 'username', 'visitor', 'country', 'extra', 'url_key'],
  ...['path', 'referrer_host', 'campaign', 'class', 'received'],
];

/**
 * Prepares a statement that writes. Its result is BigInt, because a record ID is too large for a number.
 * SQLite keeps the last ID for all later statements, and Node 26 throws instead of rounding it.
 */
export function writing(database: DatabaseSync, sql: string): StatementSync {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  return statement;
}

/** Prepares the statements of batches. */
export function batchStatements(database: DatabaseSync) {
  const { hour, day, month } = PERIOD_NAMES;
  const { position, forget, series, add } = statementsOf(dialectOf(database));
  const write = (sql: string) => writing(database, sql);
  /** Prepares a statement that adds a row, unless its key exists, and takes its values. */
  const adding = (table: string, columns: readonly string[]) =>
    write(add(table, Object.fromEntries(columns.map((column) => [column, '?']))));
  const endpoint = ['site', ...ENDPOINT_COLUMNS];
  const row = 'WHERE series = ? AND bucket = ? AND key = ?';
  const sums = (table: string) => ({
    update: write(`UPDATE ${table} SET ${addingUp((measure) => `${measure} + CAST(? AS INTEGER)`)} ${row}`),
    insert: write(
      `INSERT INTO ${table} (${MEASURES.join(', ')}, series, bucket, key) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET ${addingUp((measure) => `${measure} + excluded.${measure}`)}`,
    ),
    removeEmpty: write(`DELETE FROM ${table} ${row} AND hits = 0`),
  });
  return {
    site: database.prepare('SELECT name, time_zone FROM sites WHERE id = ?'),
    position: database.prepare(position('?')),
    move: write('INSERT OR REPLACE INTO journals (id, position, ordinal) VALUES (?, ?, ?)'),
    forget: write(forget('?')),
    addString: adding('strings', ['text']),
    findString: database.prepare('SELECT id FROM strings WHERE text = ?'),
    // Within a write transaction, no other writer can add the same row.
    findAgent: database.prepare(
      `SELECT id FROM agents WHERE string = ? AND browser IS ? AND version IS ? AND platform IS ? AND bot = ?
       AND device IS ?`,
    ),
    addAgent: adding('agents', ['string', 'browser', 'version', 'platform', 'bot', 'device']),
    addEndpoint: adding('endpoints', endpoint),
    findEndpoint: database.prepare(
      `SELECT id FROM endpoints WHERE ${endpoint.map((column) => `${column} = ?`).join(' AND ')}`,
    ),
    addRecord: write(
      `INSERT INTO records (id, ${RECORD.join(', ')})
       VALUES ((CAST(? AS INTEGER) << ${DATE_SHIFT}) | CAST(? AS INTEGER), ${RECORD.map(() => '?').join(', ')})
       ON CONFLICT DO NOTHING`,
    ),
    addSeries: adding('series', ['site', 'summary']),
    findSeries: database.prepare(series('?', '?')),
    addBucket: adding('buckets', ['site', 'bucket', 'date']),
    sums: { hour: sums(hour), day: sums(day), month: sums(month) },
    // Changes when another connection has written.
    dataVersion: database.prepare('PRAGMA data_version'),
    sweeps: database.prepare('SELECT generation, active FROM sweeps'),
    keepRow: adding('used_rows', ['name', 'id']),
  };
}
