import { reasonOf, TrackUsageError } from '../../errors.ts';
import type { FlaskRow } from './row.ts';

/** Connection timeout. In ms. */
export const CONNECT_TIMEOUT = 10_000;
/** Maximum time that the server may take for a chunk. In ms. */
export const READ_TIMEOUT = 60_000;

/** Location of Flask-Track-Usage's data. */
export interface FlaskLocation {
  /** URL in the form of the engine's driver, or a path for SQLite. */
  url: string;
  /** `undefined` for the default table. */
  table: string | undefined;
  /** MongoDB only: the `website` whose documents are read; `undefined` for all. */
  website: string | undefined;
}

/** A table or collection of Flask-Track-Usage. Read-only. */
export interface FlaskTable {
  /** Name of the database and table, for messages and as an identity. Contains no password. */
  label: string;
  /** Returns at most `limit` rows after the row `after`, in the order of their IDs. */
  rows(after: string | undefined, limit: number): Promise<FlaskRow[]>;
  /** Returns the value of `after` that continues behind this row. */
  idOf(row: FlaskRow): string;
  close(): Promise<void>;
}

/** Name of the table that SQLStorage creates. */
export const SQL_TABLE = 'flask_usage';
/** Columns that SQLStorage has written since its first release. Many others may be missing. */
export const SQL_COLUMNS = 'id, url, datetime';

/** Quotes the name of a table, or of a schema and a table, for SQL. */
export function quoted(table: string, quote: '"' | '`'): string {
  return table
    .split('.')
    .map((part) => `${quote}${part.replaceAll(quote, quote + quote)}${quote}`)
    .join('.');
}

/** Throws if a requested table or database does not exist. */
export function unreadable(label: string, reason: string): TrackUsageError {
  return new TrackUsageError('COPY_SOURCE', { value: label, reason });
}

/** Runs `call`. Errors contain the label instead of the URL, which may contain a password. */
export async function reading<T>(label: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof TrackUsageError) throw error;
    // If several addresses refuse the connection, the error has a code and no message.
    const reason = reasonOf(error) || String((error as { code?: unknown }).code);
    throw new TrackUsageError('COPY_SOURCE', { value: label, reason }, { cause: error });
  }
}
