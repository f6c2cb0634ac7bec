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
  const drop = () => server.sql(`DROP DATABASE IF EXISTS ${database} SYNC`);
  return {
    storage: (hooks: string[]) => new ClickhouseStorage(server.url(database), { hooks }),
    drop,
    remove: drop,
  };
}

describe('ClickHouse', () => replacedCases(openDatabase, false));
