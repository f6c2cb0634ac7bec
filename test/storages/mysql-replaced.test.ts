import { randomUUID } from 'node:crypto';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe } from 'vitest';
import { MysqlStorage } from '../../src/storages/mysql/index.ts';
import { hasMysql, type MysqlServer, mysqlServer } from '../support/servers/mysql.ts';
import { replacedCases } from './replaced-database.ts';

let server: MysqlServer;
beforeAll(async () => {
  if (hasMysql) server = await mysqlServer();
});
afterAll(() => server?.close());

async function openDatabase() {
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const drop = async () => {
    const connection = await mysql.createConnection(server.url());
    await connection.query(`DROP DATABASE IF EXISTS ${database}`);
    await connection.end();
  };
  return {
    storage: (hooks: string[]) => new MysqlStorage(server.url(database), { hooks }),
    drop,
    remove: drop,
  };
}

describe.skipIf(!hasMysql)('MySQL', () => replacedCases(openDatabase, true));
