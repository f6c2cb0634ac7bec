import { randomUUID } from 'node:crypto';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, test } from 'vitest';
import {
  type ClickhouseClient,
  ClickhouseStorage,
  type ClickhouseStorageOptions,
} from '../../src/storages/clickhouse/index.ts';
import { storageCases, type TestLocation } from '../../src/testing/index.ts';
import { clientCases } from '../support/client-cases.ts';
import { type ClickhouseServer, clickhouseServer } from '../support/servers/clickhouse.ts';
import { laterServer } from '../support/servers/later.ts';

let server: ClickhouseServer;
beforeAll(async () => {
  server = await clickhouseServer(process.env.TEST_CLICKHOUSE_URL);
});
afterAll(() => server?.close());

const stoppable = laterServer(process.env.TEST_CLICKHOUSE_URL, () => server.server!);

function clientAt(port?: number): ClickhouseClient & { close(): Promise<void> } {
  const { protocol, host, username, password } = new URL(server.url('', port).replace('clickhouse', 'http'));
  return createClient({
    url: `${protocol}//${host}`,
    username,
    password: decodeURIComponent(password),
    request_timeout: 30_000,
    log: { level: ClickHouseLogLevel.OFF },
  });
}

async function dropDatabase(database: string): Promise<void> {
  const client = clientAt();
  await client.command({ query: `DROP DATABASE IF EXISTS ${database} SYNC` });
  await client.close();
}

function newDatabase(): string {
  return `track_usage_${randomUUID().replaceAll('-', '')}`;
}

async function newLocation(options: ClickhouseStorageOptions = {}): Promise<TestLocation> {
  const database = newDatabase();
  return {
    ...(stoppable && { contains: (text: string) => server.contains(database, text) }),
    storage: (hooks, port) =>
      new ClickhouseStorage(server.url(database, port), hooks ? { ...options, hooks } : options),
    remove: () => dropDatabase(database),
  };
}

async function newClientLocation(): Promise<TestLocation> {
  const database = newDatabase();
  const clients: ClickhouseClient[] = [];
  return {
    storage(hooks, port) {
      const client = clientAt(port);
      clients.push(client);
      return new ClickhouseStorage(client, hooks ? { hooks, database } : { database });
    },
    async remove() {
      for (const client of clients) await client.close();
      await dropDatabase(database);
    },
  };
}

describe('opened by URL, in the writer thread', () => {
  const cases = storageCases({
    name: 'clickhouse',
    createLocation: () => newLocation(),
    ...(stoppable && { server: stoppable }),
  });
  test.each(cases)('$name', ({ run }) => run());
});

describe('opened by a client, in the app thread', () => {
  const cases = clientCases({
    name: 'clickhouse, client',
    createLocation: newClientLocation,
    ...(stoppable && { server: stoppable }),
  });
  test.each(cases)('$name', ({ run }) => run());
});

// The test server is a cluster of one node without Keeper, which is enough to test the distributed tables.
if (stoppable) {
  describe('on a cluster of one node, opened by URL', () => {
    // Reading sends the same queries as without a cluster, to tables of another engine: each kind once is enough.
    const cases = storageCases({
      name: 'clickhouse, cluster',
      createLocation: () => newLocation({ cluster: 'one' }),
      server: stoppable,
    }).filter(({ name }) => !/^(coverage|filters|queries|ranges until now): /.test(name));
    test.each(cases)('$name', ({ run }) => run());
  });
}
