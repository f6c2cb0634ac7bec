import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { PostgresStorage } from '../../src/storages/postgres/index.ts';
import { recordsOf } from '../../src/storages/postgres/schema.ts';
import { killedRebuildCase } from '../maintenance/killed-rebuild-case.ts';
import { type PostgresServer, postgresServer } from '../support/servers/postgres.ts';
import { type ServerDatabase, sqlMaintenanceCases } from './sql-maintenance.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await postgresServer();
});
afterAll(() => server?.close());

async function openDatabase(): Promise<ServerDatabase> {
  const schema = `test_${randomUUID().replaceAll('-', '')}`;
  const pools: pg.Pool[] = [];
  const newPool = () => {
    const pool = new pg.Pool({ connectionString: server.url(), application_name: schema });
    pool.on('error', () => {});
    pools.push(pool);
    return pool;
  };
  const admin = newPool();
  onTestFinished(async () => {
    await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    for (const pool of pools) await pool.end();
  });
  const table = (name: string) => `${schema}.${name}`;
  return {
    table,
    hours: table('hourly'),
    records: {
      table: table('records'),
      view: table('usage_records'),
      select: recordsOf(schema, table('records')),
    },
    query: async (sql) => (await admin.query(sql)).rows,
    storage(before) {
      const pool = newPool();
      const query = pool.query.bind(pool) as (statement: { text: string }) => Promise<unknown>;
      const waiting = async (statement: { text: string }) => {
        await before?.(statement.text);
        return query(statement);
      };
      if (before) Object.assign(pool, { query: waiting });
      return new PostgresStorage(pool, { schema, hooks: ['urls'] });
    },
    async lock(select) {
      const client = await admin.connect();
      await client.query('BEGIN');
      await client.query(select);
      return async () => {
        await client.query('ROLLBACK');
        client.release();
      };
    },
    async blocked() {
      for (;;) {
        const { rows } = await admin.query(
          "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = $1",
          [schema],
        );
        if (rows[0])
          return async () => void (await admin.query('SELECT pg_terminate_backend($1)', [rows[0].pid]));
      }
    },
  };
}

describe('PostgreSQL', () => sqlMaintenanceCases(openDatabase));

killedRebuildCase(async (hooks) => {
  const schema = `test_${randomUUID().replaceAll('-', '')}`;
  const admin = new pg.Pool({ connectionString: server.url() });
  onTestFinished(async () => {
    await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await admin.end();
  });
  const url = new URL(server.url());
  url.searchParams.set('schema', schema);
  return { url: url.href, storage: new PostgresStorage(url.href, { hooks }) };
});
