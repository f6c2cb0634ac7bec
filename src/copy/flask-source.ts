import { existsSync } from 'node:fs';
import { show, TrackUsageError } from '../errors.ts';
import { sqlite } from '../sqlite.ts';
import { withoutPassword } from '../storages/by-url.ts';
import type { Scanned, ScanRequest } from '../storages/contract.ts';
import { type FlaskRow, rowOfFlask } from './flask-usage.ts';

/** A database of Flask-Track-Usage, to be read. */
export interface FlaskSource {
  label: string;
  scan(request: ScanRequest): Promise<Scanned>;
  close(): Promise<void>;
}

/** Reads rows whose `id` is larger than another's, in the order of their ids. */
interface FlaskTable {
  rows(after: string | undefined, limit: number): Promise<FlaskRow[]>;
  close(): Promise<void>;
}

type Opener = (url: string, table: string) => Promise<FlaskTable>;

const OPENERS: Readonly<Record<string, Opener>> = { sqlite: openSqlite };

/**
 * Opens the database that `flask+sqlite:PATH` names, and so on for the engines that Flask-Track-Usage stores in.
 * @param table Its table or collection. Defaults to `flask_usage`, its own default.
 */
export async function flaskSource(url: string, table = 'flask_usage'): Promise<FlaskSource> {
  const [, scheme = '', rest = ''] = /^flask\+([a-z]+):(.*)$/s.exec(url) ?? [];
  const open = OPENERS[scheme];
  if (!open) throw new TrackUsageError('STORAGE_UNKNOWN', { value: show(withoutPassword(url)) });
  const source = await open(scheme === 'sqlite' ? rest : `${scheme}:${rest}`, table);
  return {
    label: withoutPassword(url),
    async scan({ site, after, limit }) {
      const rows = await source.rows(after, limit);
      return {
        records: rows.map((row) => rowOfFlask(row, site)),
        next: rows.length < limit ? undefined : String(rows.at(-1)!.id ?? rows.at(-1)!._id),
      };
    },
    close: () => source.close(),
  };
}

async function openSqlite(path: string, table: string): Promise<FlaskTable> {
  if (!existsSync(path)) throw new TrackUsageError('STORAGE_NOT_FOUND', { value: path });
  const database = new (sqlite().DatabaseSync)(path, { readOnly: true });
  const name = `"${table.replaceAll('"', '""')}"`;
  return {
    rows: async (after, limit) =>
      database
        .prepare(`SELECT * FROM ${name} WHERE id > ? ORDER BY id LIMIT ?`)
        .all(Number(after ?? 0), limit) as FlaskRow[],
    close: async () => database.close(),
  };
}
