import { randomUUID } from 'node:crypto';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { MysqlStorage } from '../../src/storages/mysql/index.ts';
import { storageCases, type TestLocation } from '../../src/testing/index.ts';
import { clientCases } from '../support/client-cases.ts';
import { laterServer } from '../support/servers/later.ts';
import { hasMysql, type MysqlServer, mysqlServer } from '../support/servers/mysql.ts';

let server: MysqlServer;
beforeAll(async () => {
  if (hasMysql) server = await mysqlServer();
});
afterAll(() => server?.close());

const stoppable = laterServer(process.env.TEST_MYSQL_URL, () => server.server!);
const faulty = stoppable && { server: stoppable };

const newDatabase = () => `test_${randomUUID().replaceAll('-', '')}`;

async function query(sql: string): Promise<void> {
  const connection = await mysql.createConnection(server.url());
  await connection.query(sql);
  await connection.end();
}

async function newLocation(): Promise<TestLocation> {
  const database = newDatabase();
  return {
    storage: (hooks, port) => new MysqlStorage(server.url(database, port), hooks ? { hooks } : {}),
    remove: () => query(`DROP DATABASE IF EXISTS ${database}`),
    ...(stoppable && {
      async contains(text) {
        const connection = await mysql.createConnection(server.url(database));
        // Writes the pages of the table to its file.
        await connection.query('FLUSH TABLES usage_strings, usage_agents, usage_requests FOR EXPORT');
        const isFound = server.contains!(database, text);
        await connection.end();
        return isFound;
      },
    }),
  };
}

async function newPoolLocation(): Promise<TestLocation> {
  const database = newDatabase();
  await query(`CREATE DATABASE ${database}`);
  const pools: mysql.Pool[] = [];
  return {
    storage(hooks, port) {
      const pool = mysql.createPool({ uri: server.url(database, port), connectionLimit: 3 });
      pools.push(pool);
      return new MysqlStorage(pool, hooks ? { hooks } : {});
    },
    async remove() {
      for (const pool of pools) await pool.end();
      await query(`DROP DATABASE IF EXISTS ${database}`);
    },
  };
}

describe.skipIf(!hasMysql)('opened by URL, in the writer thread', () => {
  test.each(storageCases({ name: 'mysql', createLocation: newLocation, ...faulty }))('$name', ({ run }) =>
    run(),
  );
});

describe.skipIf(!hasMysql)('opened by a pool, in the app thread', () => {
  test.each(clientCases({ name: 'mysql, pool', createLocation: newPoolLocation, ...faulty }))(
    '$name',
    ({ run }) => run(),
  );
});
