import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe } from 'vitest';
import { PostgresStorage } from '../../src/storages/postgres/index.ts';
import { type PostgresServer, postgresServer } from '../support/servers/postgres.ts';
import { replacedCases } from './replaced-database.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await postgresServer();
});
afterAll(() => server?.close());

async function openDatabase() {
  const schema = `test_${randomUUID().replaceAll('-', '')}`;
  const drop = async () => {
    const client = new pg.Client(server.url());
    await client.connect();
    await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await client.end();
  };
  return {
    storage: (hooks: string[]) => new PostgresStorage(server.url(), { hooks, schema }),
    drop,
    remove: drop,
  };
}

describe('PostgreSQL', () => replacedCases(openDatabase, true));
