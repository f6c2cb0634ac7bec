import { closeOnFailure } from '../../storage/close-on-failure.ts';
import { loadDriver } from '../../storage/load-driver.ts';
import { DEFAULT_SCHEMA, locationOfUrl } from '../../storages/postgres/location.ts';
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

/** Type IDs of date, timestamp and timestamptz. */
const DATES: readonly number[] = [1082, 1114, 1184];
/** Independent of the settings of the server, the database and the user. */
const BEGIN = `BEGIN READ ONLY; SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'`;

export async function openPostgres({ url, table = SQL_TABLE }: FlaskLocation): Promise<FlaskTable> {
  const label = `${locationOfUrl(url, DEFAULT_SCHEMA).label}, table ${table}`;
  const name = quoted(table, '"');
  const read = <T>(call: () => Promise<T>) => reading(label, call);
  const { Client, types } = (await loadDriver('track-usage copy', 'pg', () => import('pg'))).default;
  const client = await read(
    async () =>
      new Client({
        connectionString: url,
        application_name: 'track-usage',
        connectionTimeoutMillis: CONNECT_TIMEOUT,
        query_timeout: READ_TIMEOUT,
        types: {
          // The driver would treat a time without a zone as local time.
          getTypeParser: ((type: number, format: 'text') =>
            DATES.includes(type)
              ? (text: string) => text
              : types.getTypeParser(type, format)) as typeof types.getTypeParser,
        },
      }),
  );
  // After a lost connection, the next statement reports it.
  client.on('error', () => {});
  const close = () => client.end();
  return closeOnFailure(close, () =>
    read(async () => {
      await client.connect();
      await client.query(`SELECT ${SQL_COLUMNS} FROM ${name} LIMIT 0`);
      return {
        label,
        rows: (after, limit) =>
          read(async () => {
            await client.query(BEGIN);
            const [where, values] = after === undefined ? ['', []] : ['WHERE id > $1', [after]];
            const text = `SELECT * FROM ${name} ${where} ORDER BY id LIMIT ${limit}`;
            const { rows } = await client.query<FlaskRow>(text, values);
            await client.query('COMMIT');
            return rows;
          }),
        idOf: ({ id }) => String(id),
        close,
      };
    }),
  );
}
