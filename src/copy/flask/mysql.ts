import type { ConnectionOptions } from 'mysql2';
import { closeOnFailure } from '../../storage/close-on-failure.ts';
import { loadDriver } from '../../storage/load-driver.ts';
import { addressOf, configOf } from '../../storages/mysql/location.ts';
import type { FlaskRow } from './row.ts';
import {
  CONNECT_TIMEOUT,
  type FlaskLocation,
  type FlaskTable,
  quoted,
  READ_TIMEOUT,
  reading,
  SQL_COLUMNS,
  SQL_TABLE,
} from './table.ts';

export async function openMysql({ url, table = SQL_TABLE }: FlaskLocation): Promise<FlaskTable> {
  const { config } = configOf(url);
  const label = `${addressOf(config)}/${config.database ?? ''}, table ${table}`;
  const name = quoted(table, '`');
  const read = <T>(call: () => Promise<T>) => reading(label, call);
  const { createConnection } = await loadDriver('track-usage copy', 'mysql2', () => import('mysql2/promise'));
  const connection = await read(() =>
    createConnection({
      ...(config as ConnectionOptions),
      charset: 'utf8mb4',
      connectTimeout: CONNECT_TIMEOUT,
      // The driver would treat a time without a zone as local time.
      dateStrings: true,
    }),
  );
  // After a lost connection, the next statement reports it.
  connection.on('error', () => {});
  const close = async () => connection.destroy();
  // Text protocol: in the binary protocol, a FLOAT of 0.0125 is 0.012500000186264515.
  const query = async (sql: string, values: unknown[] = []) => {
    const [rows] = await connection.query({ sql, timeout: READ_TIMEOUT }, values);
    return rows as FlaskRow[];
  };
  return closeOnFailure(close, () =>
    read(async () => {
      await query(`SET time_zone = '+00:00'`);
      await query(`SELECT ${SQL_COLUMNS} FROM ${name} LIMIT 0`);
      return {
        label,
        rows: (after, limit) =>
          read(async () => {
            await query('START TRANSACTION READ ONLY');
            const [where, values] = after === undefined ? ['', []] : ['WHERE id > ?', [Number(after)]];
            const rows = await query(`SELECT * FROM ${name} ${where} ORDER BY id LIMIT ${limit}`, values);
            await query('COMMIT');
            return rows;
          }),
        idOf: ({ id }) => String(id),
        close,
      };
    }),
  );
}
