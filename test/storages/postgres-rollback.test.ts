import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe } from 'vitest';
import { PostgresStorage } from '../../src/storages/postgres/index.ts';
import { type PostgresServer, postgresServer } from '../support/servers/postgres.ts';
import { type Failure, type Faults, rollbackCases } from './rollback-cases.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await postgresServer();
});
afterAll(() => server?.close());

async function openDatabase() {
  const schema = `test_${randomUUID().replaceAll('-', '')}`;
  const [pool, faultyPool] = [
    new pg.Pool({ connectionString: server.url() }),
    new pg.Pool({ connectionString: server.url() }),
  ];
  faultyPool.on('error', () => {});
  let faults: Faults | undefined;
  const query = faultyPool.query.bind(faultyPool) as (statement: object) => Promise<unknown>;
  const kill = (client: pg.PoolClient) =>
    pool.query('SELECT pg_terminate_backend($1)', [(client as unknown as { processID: number }).processID]);
  const fail = async (statement: string, failure: Failure): Promise<never> => {
    const client = await faultyPool.connect();
    client.on('error', () => {});
    try {
      if (failure === 'rolled back') {
        await client.query('BEGIN');
        await client.query(statement);
        await client.query('ROLLBACK');
        throw Object.assign(new Error('could not serialize access'), { code: '40001' });
      }
      if (failure === 'before') await kill(client);
      await client.query(statement);
      await kill(client);
      throw new Error('Connection terminated unexpectedly');
    } finally {
      client.release(true);
    }
  };
  Object.assign(faultyPool, {
    query: (statement: string) => {
      const failure = faults?.next();
      return failure ? fail(statement, failure) : query(statement as never);
    },
  });
  return {
    failures: ['rolled back', 'before', 'after'] as const,
    calls: 8,
    plain: (hooks: readonly string[]) => new PostgresStorage(pool, { hooks, schema }),
    faulty: (hooks: readonly string[], counted: Faults) => {
      faults = counted;
      return new PostgresStorage(faultyPool, { hooks, schema });
    },
    close: async () => {
      await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
      await Promise.all([pool.end(), faultyPool.end()]);
    },
  };
}

describe('PostgreSQL', () => rollbackCases(openDatabase));
