import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { storageAt } from '../../src/storages/by-url.ts';
import { clickhouseServer } from '../support/servers/clickhouse.ts';
import { hasMongo, mongoServer } from '../support/servers/mongo.ts';
import { hasMysql, mysqlServer } from '../support/servers/mysql.ts';
import { postgresServer } from '../support/servers/postgres.ts';
import { RedisServer } from '../support/servers/redis.ts';
import { isWanted } from '../support/services.ts';
import { run } from './support.ts';

interface Server {
  /** URL of a missing database. */
  missing: string;
  close(): Promise<void>;
}

const SERVERS: readonly { name: string; isWanted: boolean; start(): Promise<Server> }[] = [
  {
    name: 'PostgreSQL',
    isWanted: true,
    async start() {
      const server = await postgresServer();
      const missing = `${server.url()}${server.url().includes('?') ? '&' : '?'}schema=nonono`;
      return { missing, close: () => server.close() };
    },
  },
  {
    name: 'MariaDB',
    isWanted: hasMysql,
    async start() {
      const server = await mysqlServer();
      return { missing: server.url('nonono'), close: () => server.close() };
    },
  },
  {
    name: 'MongoDB',
    isWanted: hasMongo,
    async start() {
      const server = await mongoServer();
      return { missing: server.url('nonono'), close: () => server.close() };
    },
  },
  {
    name: 'Redis',
    isWanted: isWanted('redis'),
    async start() {
      const server = await RedisServer.start();
      return { missing: `${server.url}/9`, close: () => server.close() };
    },
  },
  {
    name: 'ClickHouse',
    isWanted: true,
    async start() {
      const server = await clickhouseServer(process.env.TEST_CLICKHOUSE_URL);
      return { missing: server.url('nonono'), close: () => server.close() };
    },
  },
];

describe.each(SERVERS.filter((server) => server.isWanted))('a database missing in $name', ({ start }) => {
  let server: Server;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.close());

  test('is reported by every command, without the password', async () => {
    for (const command of [['sum', 'urls'], ['sum', 'own-name'], ['usage']]) {
      const { code, out, err } = await run([...command, '--storage', server.missing]);
      expect({ command, code, out }).toEqual({ command, code: 1, out: '' });
      expect(err).toMatch(/^track-usage: no database found at .*; check the path or URL; a tracked app/);
      expect(err).not.toMatch(/p@ss|p%40ss/);
    }
  });

  test('returns no rows to an app, which can query before anything is stored', async () => {
    const storage = await storageAt(server.missing).open();
    try {
      expect(await storage.getSum('urls', { period: 'day' })).toEqual([]);
      expect(await storage.getUsage()).toEqual([]);
    } finally {
      await storage.close();
    }
  });
});
