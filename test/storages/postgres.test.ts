import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { PostgresStorage } from '../../src/storages/postgres/index.ts';
import { storageCases, type TestPlace, type TestServer } from '../../src/testing/index.ts';
import { type PostgresServer, postgresServer } from '../support/servers/postgres.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await postgresServer();
});
afterAll(() => server?.close());

/** The suite asks before the server runs. */
const stoppable: TestServer | undefined = process.env.TEST_POSTGRES_URL
  ? undefined
  : {
      get port() {
        return server.server!.port;
      },
      stop: () => server.server!.stop(),
      start: () => server.server!.start(),
    };
const faulty = stoppable && { server: stoppable };

const newSchema = () => `test_${randomUUID().replaceAll('-', '')}`;

async function drop(schema: string): Promise<void> {
  const client = new pg.Client(server.url());
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await client.end();
}

async function place(): Promise<TestPlace> {
  const schema = newSchema();
  return {
    storage: (hooks, port) => new PostgresStorage(server.url(port), hooks ? { hooks, schema } : { schema }),
    remove: () => drop(schema),
  };
}

async function placeOfPools(): Promise<TestPlace> {
  const schema = newSchema();
  const pools: pg.Pool[] = [];
  return {
    storage(hooks, port) {
      const pool = new pg.Pool({ connectionString: server.url(port), max: 3 });
      pool.on('error', () => {});
      pools.push(pool);
      return new PostgresStorage(pool, hooks ? { hooks, schema } : { schema });
    },
    async remove() {
      for (const pool of pools) await pool.end();
      await drop(schema);
    },
  };
}

describe('by URL, in the thread', () => {
  it.each(storageCases({ name: 'postgres', place, ...faulty }))('$name', ({ run }) => run());
});

describe('by a pool of the app', () => {
  it.each(storageCases({ name: 'postgres, own pool', place: placeOfPools, ...faulty }))('$name', ({ run }) =>
    run(),
  );
});
