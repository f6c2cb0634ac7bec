import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { MysqlStorage } from '../../src/storages/mysql/index.ts';
import { viewOfRecords } from '../../src/storages/mysql/views.ts';
import { killedRebuildCase } from '../maintenance/killed-rebuild-case.ts';
import { hasMysql, type MysqlServer, mysqlServer } from '../support/servers/mysql.ts';
import { type ServerDatabase, sqlMaintenanceCases } from './sql-maintenance.ts';

let server: MysqlServer;
beforeAll(async () => {
  if (hasMysql) server = await mysqlServer();
});
afterAll(() => server?.close());

async function openDatabase(): Promise<ServerDatabase> {
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const admin = await mysql.createConnection(server.url());
  await admin.query(`CREATE DATABASE ${database}`);
  const pools: mysql.Pool[] = [];
  onTestFinished(async () => {
    for (const pool of pools) await pool.end();
    await admin.query(`DROP DATABASE ${database}`);
    await admin.end();
  });
  const table = (name: string) => `${database}.usage_${name}`;
  const query = async (sql: string) => (await admin.query<mysql.RowDataPacket[]>(sql))[0];
  return {
    table,
    hours: table('hours'),
    records: { table: table('requests'), view: table('records'), select: viewOfRecords(table) },
    query,
    storage(before) {
      const pool = mysql.createPool(server.url(database));
      pools.push(pool);
      const getConnection = pool.getConnection.bind(pool);
      const waiting = async () => {
        const connection = await getConnection();
        const send = connection.query.bind(connection) as unknown as (options: object) => Promise<unknown>;
        return {
          connection: connection.connection,
          release: () => connection.release(),
          destroy: () => connection.destroy(),
          query: async (options: { sql: string }) => {
            await before?.(options.sql);
            return send(options);
          },
        };
      };
      if (before) Object.assign(pool, { getConnection: waiting });
      return new MysqlStorage(pool, { hooks: ['urls'] });
    },
    async lock(select) {
      const connection = await mysql.createConnection(server.url());
      // Other levels also lock the rows that do not match.
      await connection.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await connection.query('START TRANSACTION');
      await connection.query(select);
      return () => connection.end();
    },
    async blocked() {
      for (;;) {
        const [found] = await query(
          "SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
        );
        if (found) return async () => void (await admin.query(`KILL ${found.id}`));
        // The server renews this table only if nobody has read it for 0.1 s.
        await setTimeout(200);
      }
    },
  };
}

describe.skipIf(!hasMysql)('MySQL', () => sqlMaintenanceCases(openDatabase));

describe.skipIf(!hasMysql)('a killed rebuild', () =>
  killedRebuildCase(async (hooks) => {
    const database = `test_${randomUUID().replaceAll('-', '')}`;
    const admin = await mysql.createConnection(server.url());
    await admin.query(`CREATE DATABASE ${database}`);
    onTestFinished(async () => {
      await admin.query(`DROP DATABASE ${database}`);
      await admin.end();
    });
    const url = server.url(database);
    return { url, storage: new MysqlStorage(url, { hooks }) };
  }),
);
