import { randomUUID } from 'node:crypto';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe } from 'vitest';
import { MysqlStorage } from '../../src/storages/mysql/index.ts';
import { hasMysql, type MysqlServer, mysqlServer } from '../support/servers/mysql.ts';
import { type Faults, rollbackCases } from './rollback-cases.ts';

let server: MysqlServer;
beforeAll(async () => {
  if (hasMysql) server = await mysqlServer();
});
afterAll(() => server?.close());

type Query = (options: { sql: string }) => Promise<unknown>;

/** Statements that cannot be rolled back: they fail without being executed. */
const NOT_TRANSACTIONAL = /^(SET|START|CREATE|ROLLBACK)\b/;

async function openDatabase() {
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const admin = await mysql.createConnection(server.url());
  await admin.query(`CREATE DATABASE ${database}`);
  const [pool, faultyPool] = [mysql.createPool(server.url(database)), mysql.createPool(server.url(database))];
  let faults: Faults | undefined;
  const getConnection = faultyPool.getConnection.bind(faultyPool);
  const lease = async () => {
    const connection = await getConnection();
    let isInTransaction = false;
    const send = connection.query.bind(connection) as unknown as Query;
    const query: Query = async (options) => {
      const { sql } = options;
      const failure = faults?.next();
      if (failure === 'rolled back') {
        if (!NOT_TRANSACTIONAL.test(sql)) {
          if (!isInTransaction) await send({ sql: 'START TRANSACTION' });
          if (sql !== 'COMMIT') await send(options);
          await send({ sql: 'ROLLBACK' });
        }
        throw Object.assign(new Error('deadlock'), { errno: 1213, sqlState: '40001' });
      }
      if (failure === 'before') await admin.query(`KILL ${connection.threadId}`);
      const result = await send(options);
      if (failure) {
        await admin.query(`KILL ${connection.threadId}`).catch(() => {});
        throw Object.assign(new Error('Connection lost'), { code: 'PROTOCOL_CONNECTION_LOST' });
      }
      if (/^(START|COMMIT|ROLLBACK)/.test(sql)) isInTransaction = sql.startsWith('START');
      return result;
    };
    return {
      query,
      connection: connection.connection,
      release: () => connection.release(),
      destroy: () => connection.destroy(),
    };
  };
  Object.assign(faultyPool, { getConnection: lease });
  return {
    failures: ['rolled back', 'before', 'after'] as const,
    calls: 20,
    plain: (hooks: readonly string[]) => new MysqlStorage(pool, { hooks }),
    faulty: (hooks: readonly string[], counted: Faults) => {
      faults = counted;
      return new MysqlStorage(faultyPool, { hooks });
    },
    close: async () => {
      await Promise.all([pool.end(), faultyPool.end()]);
      await admin.query(`DROP DATABASE ${database}`);
      await admin.end();
    },
  };
}

describe.skipIf(!hasMysql)('MySQL', () => rollbackCases(openDatabase));
