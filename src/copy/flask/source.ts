import { show, TrackUsageError } from '../../errors.ts';
import type { Scanned, ScanRequest } from '../../storage/contract.ts';
import { formsOf, unknownStorage } from '../../storages/by-url.ts';
import { openMongo } from './mongo.ts';
import { openMysql } from './mysql.ts';
import { openPostgres } from './postgres.ts';
import { rowOfFlask } from './row.ts';
import { openSqlite } from './sqlite.ts';
import type { FlaskLocation, FlaskTable } from './table.ts';

/** A database of Flask-Track-Usage, for reading. */
export interface FlaskSource {
  /** Name of the database and table. Contains no password. */
  label: string;
  scan(request: ScanRequest): Promise<Scanned>;
  close(): Promise<void>;
}

type Opener = (location: FlaskLocation) => Promise<FlaskTable>;

const OPENERS: Readonly<Record<string, Opener>> = {
  sqlite: openSqlite,
  postgres: openPostgres,
  postgresql: openPostgres,
  mysql: openMysql,
  mariadb: openMysql,
  mongodb: openMongo,
  'mongodb+srv': openMongo,
};

export interface FlaskOptions {
  /**
   * Name of the table or collection. Defaults to Flask-Track-Usage's own default, `flask_usage` or
   * `usageTracking`.
   */
  table?: string | undefined;
  /** MongoDB only: the `website` whose documents are read. Defaults to all. */
  website?: string | undefined;
}

/**
 * Opens the database that `flask+sqlite:PATH` names, and equivalents for the other engines of
 * Flask-Track-Usage. The part after `flask+` may be an SQLAlchemy URL, for example `postgresql+psycopg2://…`.
 */
export async function flaskSource(url: string, { table, website }: FlaskOptions = {}): Promise<FlaskSource> {
  // Removes the name of the Python driver. `mongodb+srv` is a scheme, not a driver.
  const [, scheme = '', rest = ''] = /^flask\+(mongodb\+srv|[a-z]+)(?:\+[a-z0-9]+)?:(.*)$/s.exec(url) ?? [];
  const open = OPENERS[scheme];
  if (!open) throw unknownStorage(url, formsOf(OPENERS, 'flask+'));
  if (website !== undefined && open !== openMongo) {
    throw new TrackUsageError('QUERY_INVALID', {
      name: '--website',
      value: show(website),
      expected: 'no value, because Flask-Track-Usage stores it only in MongoDB',
    });
  }
  // SQLAlchemy uses the form `sqlite:///PATH`.
  const location = scheme === 'sqlite' ? rest.replace(/^\/\/\//, '') : `${scheme}:${rest}`;
  const source = await open({ url: location, table, website });
  return {
    label: source.label,
    async scan({ site, after, limit }) {
      const rows = await source.rows(after, limit);
      return {
        records: rows.map((row) => rowOfFlask(row, site)),
        next: rows.length < limit ? undefined : source.idOf(rows.at(-1)!),
      };
    },
    close: () => source.close(),
  };
}
