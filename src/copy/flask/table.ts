import { reasonOf, TrackUsageError } from '../../errors.ts';
import type { FlaskRow } from './row.ts';

/** How long connecting may take. In ms. */
export const CONNECT_TIMEOUT = 10_000;
/** How long the server may take for a piece. In ms. */
export const READ_TIMEOUT = 60_000;

/** Where Flask-Track-Usage stored. */
export interface FlaskPlace {
  /** In the form of the engine's driver; of SQLite the path. */
  url: string;
  /** `undefined` for its own default. */
  table: string | undefined;
  /** In MongoDB, the documents of this `website` alone; `undefined` for all. */
  website: string | undefined;
}

/** A table or collection of Flask-Track-Usage, which is only read. */
export interface FlaskTable {
  /** Names database and table, for messages and to know it again; holds no password. */
  label: string;
  /** At most `limit` rows behind the one of `after`, in the order of their ids. */
  rows(after: string | undefined, limit: number): Promise<FlaskRow[]>;
  /** What `after` is behind this row. */
  idOf(row: FlaskRow): string;
  close(): Promise<void>;
}

/** The table that SQLStorage makes. */
export const SQL_TABLE = 'flask_usage';
/** What SQLStorage has written since its first release, beside much that may be missing. */
export const SQL_COLUMNS = 'id, url, datetime';

/** The name of a table, or of a schema and a table in it, quoted for SQL. */
export function quoted(table: string, quote: '"' | '`'): string {
  return table
    .split('.')
    .map((part) => `${quote}${part.replaceAll(quote, quote + quote)}${quote}`)
    .join('.');
}

/** Where something that is asked for is not there. */
export function unreadable(label: string, reason: string): TrackUsageError {
  return new TrackUsageError('COPY_SOURCE', { value: label, reason });
}

/** What `call` gives. What fails is told with the label in place of the URL, which may hold a password. */
export async function reading<T>(label: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof TrackUsageError) throw error;
    // Several addresses that refuse leave no message, but a code.
    const reason = reasonOf(error) || String((error as { code?: unknown }).code);
    throw new TrackUsageError('COPY_SOURCE', { value: label, reason }, { cause: error });
  }
}
