import { afterAll, beforeAll, describe } from 'vitest';
import { ClickhouseStorage } from '../../src/storages/clickhouse/index.ts';
import { type ClickhouseServer, clickhouseServer } from '../support/servers/clickhouse.ts';
import { replacedCases } from './replaced-database.ts';

let server: ClickhouseServer;
beforeAll(async () => {
  server = await clickhouseServer(process.env.TEST_CLICKHOUSE_URL);
});
afterAll(() => server?.close());

let places = 0;
async function place() {
  const database = `dropped_${process.pid}_${++places}`;
  const drop = () => server.sql(`DROP DATABASE IF EXISTS ${database} SYNC`);
  return {
    storage: (hooks: string[]) => new ClickhouseStorage(server.url(database), { hooks }),
    drop,
    remove: drop,
  };
}

describe('ClickHouse', () => replacedCases(place, false));
