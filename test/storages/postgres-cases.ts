import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PostgresStorage } from '../../src/storages/postgres/index.ts';
import { storageCases, type TestLocation } from '../../src/testing/index.ts';
import { clientCases } from '../support/client-cases.ts';
import { laterServer } from '../support/servers/later.ts';
import { type PostgresPrograms, type PostgresServer, postgresServer } from '../support/servers/postgres.ts';

/**
 * Registers the conformance suite, by URL and by a pool.
 * @param version Major version of the server; `undefined` for an external one.
 */
export function postgresCases(version: string | undefined, programs: () => PostgresPrograms): void {
  const name = `PostgreSQL ${version ?? 'of TEST_POSTGRES_URL'}`;
  describe(name, () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await postgresServer(programs());
    });
    afterAll(() => server?.close());

    const stoppable = version === undefined ? undefined : laterServer(undefined, () => server.server!);
    const faulty = stoppable && { server: stoppable };

    const newSchema = () => `test_${randomUUID().replaceAll('-', '')}`;

    async function query(text: string): Promise<unknown[]> {
      const client = new pg.Client(server.url());
      await client.connect();
      const { rows } = await client.query(text);
      await client.end();
      return rows;
    }

    const drop = async (schema: string) => void (await query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`));

    async function newLocation(): Promise<TestLocation> {
      const schema = newSchema();
      return {
        storage: (hooks, port) =>
          new PostgresStorage(server.url(port), hooks ? { hooks, schema } : { schema }),
        remove: () => drop(schema),
        ...(version !== undefined && {
          async contains(text) {
            await query('CHECKPOINT');
            return server.contains!(text);
          },
        }),
      };
    }

    async function newPoolLocation(): Promise<TestLocation> {
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

    test.runIf(version !== undefined)('has the tested version', async () => {
      const [found] = await query('SHOW server_version');
      expect(found).toEqual({ server_version: expect.stringMatching(new RegExp(`^${version}\\.`)) });
    });

    describe('opened by URL, in the writer thread', () => {
      test.each(storageCases({ name: 'postgres', createLocation: newLocation, ...faulty }))(
        '$name',
        ({ run }) => run(),
      );
    });

    describe('opened by a pool, in the app thread', () => {
      const subject = { name: 'postgres, pool', createLocation: newPoolLocation, ...faulty };
      test.each(clientCases(subject))('$name', ({ run }) => run());
    });
  });
}
