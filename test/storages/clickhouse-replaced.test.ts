import { afterAll, beforeAll, describe } from 'vitest';
import { ClickhouseStorage } from '../../src/storages/clickhouse/index.ts';
import { type ClickhouseServer, clickhouseServer } from '../support/servers/clickhouse.ts';
import { replacedCases } from './replaced-database.ts';

let server: ClickhouseServer;
beforeAll(async () => {
  server = await clickhouseServer(process.env.TEST_CLICKHOUSE_URL);
});
afterAll(() => server?.close());

let databases = 0;
async function openDatabase() {
  const database = `dropped_${process.pid}_${++databases}`;
  const drop = async (): Promise<unknown> => {
    try {
      return await server.sql(`DROP DATABASE IF EXISTS ${database} SYNC`);
    } catch (error) {
      // The app created a table meanwhile. The server says: try again.
      if (!/DATABASE_NOT_EMPTY/.test(String(error))) throw error;
      return drop();
    }
  };
  return {
    storage: (hooks: string[]) => new ClickhouseStorage(server.url(database), { hooks }),
    drop,
    remove: drop,
  };
}

describe('ClickHouse', () => replacedCases(openDatabase, false));
