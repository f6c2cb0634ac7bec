import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { closeDatabase, sqlite } from '../../platform/sqlite.ts';
import { closeOnFailure } from '../../storage/close-on-failure.ts';
import type { FlaskRow } from './row.ts';
import {
  type FlaskLocation,
  type FlaskTable,
  quoted,
  reading,
  SQL_COLUMNS,
  SQL_TABLE,
  unreadable,
} from './table.ts';

export async function openSqlite({ url: path, table = SQL_TABLE }: FlaskLocation): Promise<FlaskTable> {
  const label = `sqlite:${resolve(path)}, table ${table}`;
  if (!existsSync(path)) throw unreadable(label, 'the file does not exist');
  const name = quoted(table, '"');
  const open = async () => new (sqlite().DatabaseSync)(path, { readOnly: true });
  const database = await reading(label, open);
  const close = async () => closeDatabase(database);
  const read = <T>(call: () => T) => reading(label, async () => call());
  return closeOnFailure(close, () =>
    read(() => {
      database.prepare(`SELECT ${SQL_COLUMNS} FROM ${name} LIMIT 0`).all();
      const first = database.prepare(`SELECT * FROM ${name} ORDER BY id LIMIT ?`);
      const next = database.prepare(`SELECT * FROM ${name} WHERE id > ? ORDER BY id LIMIT ?`);
      return {
        label,
        rows: (after, limit) =>
          read(() => (after === undefined ? first.all(limit) : next.all(Number(after), limit)) as FlaskRow[]),
        idOf: ({ id }) => String(id),
        close,
      };
    }),
  );
}
