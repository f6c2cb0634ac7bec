import { TrackUsageError } from '../../errors.ts';
import { loadDriver } from '../../storages/load-driver.ts';
import { orClose } from '../../storages/or-close.ts';
import { ESCAPED, isAmbiguous } from '../../storages/server-url.ts';
import type { FlaskRow } from './row.ts';
import {
  CONNECT_TIMEOUT,
  type FlaskPlace,
  type FlaskTable,
  quoted,
  READ_TIMEOUT,
  reading,
  SQL_COLUMNS,
  SQL_TABLE,
} from './table.ts';

export async function openMysql({ url, table = SQL_TABLE }: FlaskPlace): Promise<FlaskTable> {
  const uri = url.replace(/^\w+/, 'mysql');
  const label = `${labelOf(uri)}, table ${table}`;
  const name = quoted(table, '`');
  const ask = <T>(call: () => Promise<T>) => reading(label, call);
  const { createConnection } = await loadDriver('track-usage copy', 'mysql2', () => import('mysql2/promise'));
  const connection = await ask(() =>
    createConnection({
      uri,
      charset: 'utf8mb4',
      connectTimeout: CONNECT_TIMEOUT,
      // The driver takes a time without a zone for local time.
      dateStrings: true,
    }),
  );
  // A connection that is lost: the next statement says so.
  connection.on('error', () => {});
  const close = async () => connection.destroy();
  // As text: in the binary protocol a FLOAT of 0.0125 is 0.012500000186264515.
  const query = async (sql: string, values: unknown[] = []) => {
    const [rows] = await connection.query({ sql, timeout: READ_TIMEOUT }, values);
    return rows as FlaskRow[];
  };
  return orClose(close, () =>
    ask(async () => {
      await query(`SET time_zone = '+00:00'`);
      await query(`SELECT ${SQL_COLUMNS} FROM ${name} LIMIT 0`);
      return {
        label,
        rows: (after, limit) =>
          ask(async () => {
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

function labelOf(url: string): string {
  const parsed = isAmbiguous(url) ? null : URL.parse(url);
  // Never the URL itself: it may hold a password.
  if (!parsed?.hostname) {
    throw new TrackUsageError('OPTION_INVALID', {
      name: 'server',
      value: 'a text of another form',
      expected: `a URL such as "mysql://user:password@localhost:3306/app" ${ESCAPED}`,
    });
  }
  return `mysql://${parsed.hostname}:${parsed.port || 3306}${parsed.pathname}`;
}
