import { statSync } from 'node:fs';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import mysql from 'mysql2/promise';
import pg from 'pg';
import type { Storage } from '../../src/query/storage.ts';
import type { StorageModule, StorageWriter, WriterContext } from '../../src/storage/contract.ts';
import type { StorageOptions } from '../../src/storage/writer.ts';
import type { TestServer } from '../../src/testing/index.ts';
import { clickhouseServer } from '../../test/support/servers/clickhouse.ts';
import { mongoServer } from '../../test/support/servers/mongo.ts';
import { mysqlServer } from '../../test/support/servers/mysql.ts';
import { npmPostgres, postgresServer } from '../../test/support/servers/postgres.ts';
import { RedisServer } from '../../test/support/servers/redis.ts';
import { load } from './library.ts';

/** A temporary database, which is removed by `stop`. */
interface Database {
  url: string;
  /** Its server, if it can be stopped and restarted. */
  server?: TestServer | undefined;
  /** Returns its current size on disk. */
  bytes(): Promise<number>;
  stop(): Promise<void>;
}

/** A storage to measure. */
export interface Engine {
  name: string;
  /** Maximum number of records to measure with, for a slow storage. */
  maxRecords?: number;
  start(directory: string): Promise<Database>;
  /** @param options Further options. By default, everything is kept, because the records may be old. */
  storage(url: string, hooks: readonly string[], options?: StorageOptions): Promise<Storage>;
}

/** Keeps everything: see `Engine.storage`. */
const KEEP_ALL: StorageOptions = { retention: false };

type Class<Name extends string> = Record<Name, new (url: string, options: StorageOptions) => Storage>;

export const ENGINES: readonly Engine[] = [
  {
    name: 'sqlite',
    async start(directory) {
      const url = join(directory, 'usage.db');
      return { url, bytes: async () => statSync(url).size, stop: async () => {} };
    },
    async storage(url, hooks, options = KEEP_ALL) {
      const { SqliteStorage } = await load<Class<'SqliteStorage'>>('storages/sqlite/index.js');
      return new SqliteStorage(url, { hooks, ...options });
    },
  },
  {
    name: 'clickhouse',
    async start() {
      const server = await clickhouseServer();
      return {
        url: server.url('bench'),
        server: server.server,
        async bytes() {
          await server.sql('OPTIMIZE TABLE bench.usage_records FINAL');
          await server.sql('OPTIMIZE TABLE bench.usage_sums FINAL');
          return Number(
            await server.sql(
              "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'bench' AND active",
            ),
          );
        },
        stop: () => server.close(),
      };
    },
    async storage(url, hooks, options = KEEP_ALL) {
      const { ClickhouseStorage } = await load<Class<'ClickhouseStorage'>>('storages/clickhouse/index.js');
      return new ClickhouseStorage(url, { hooks, ...options });
    },
  },
  {
    name: 'mongo',
    // Each update of the test server takes almost a millisecond.
    maxRecords: 100_000,
    async start() {
      const server = await mongoServer();
      const url = server.url('bench');
      return {
        url,
        server: server.server,
        async bytes() {
          await using client = new MongoClient(url);
          return (await client.db().stats()).totalSize as number;
        },
        stop: () => server.close(),
      };
    },
    async storage(url, hooks, options = KEEP_ALL) {
      const { MongoStorage } = await load<Class<'MongoStorage'>>('storages/mongo/index.js');
      return new MongoStorage(url, { hooks, ...options });
    },
  },
  {
    name: 'postgres',
    async start() {
      // Default configuration: every commit waits for the disk.
      const server = await postgresServer(npmPostgres(), []);
      const url = server.url();
      return {
        url,
        server: server.server,
        async bytes() {
          const client = new pg.Client(url);
          await client.connect();
          const { rows } = await client.query(
            `SELECT sum(pg_total_relation_size(c.oid))::float8 AS bytes FROM pg_class c
             WHERE relnamespace = 'track_usage'::regnamespace AND relkind = 'r'`,
          );
          await client.end();
          return rows[0].bytes as number;
        },
        stop: () => server.close(),
      };
    },
    async storage(url, hooks, options = KEEP_ALL) {
      const { PostgresStorage } = await load<Class<'PostgresStorage'>>('storages/postgres/index.js');
      return new PostgresStorage(url, { hooks, ...options });
    },
  },
  {
    name: 'mysql',
    async start() {
      // Default configuration: every commit waits for the disk.
      const server = await mysqlServer([]);
      const url = server.url('bench');
      return {
        url,
        server: server.server,
        async bytes() {
          const connection = await mysql.createConnection(url);
          const [rows] = await connection.query<mysql.RowDataPacket[]>(
            "SELECT sum(file_size) AS bytes FROM information_schema.innodb_sys_tablespaces WHERE name LIKE 'bench/%'",
          );
          await connection.end();
          return Number(rows[0]!.bytes);
        },
        stop: () => server.close(),
      };
    },
    async storage(url, hooks, options = KEEP_ALL) {
      const { MysqlStorage } = await load<Class<'MysqlStorage'>>('storages/mysql/index.js');
      return new MysqlStorage(url, { hooks, ...options });
    },
  },
  {
    name: 'redis',
    async start() {
      // Recommended configuration of Redis: the append-only file is synced each second.
      const server = await RedisServer.start('--appendfsync', 'everysec');
      return {
        url: server.url,
        server,
        // Its data is in memory.
        bytes: async () => Number(/^used_memory:(\d+)/m.exec(server.cli('info', 'memory'))?.[1]),
        stop: () => server.close(),
      };
    },
    async storage(url, hooks, options = KEEP_ALL) {
      const { RedisStorage } = (await load('storages/redis/index.js')) as {
        RedisStorage: new (url: string, options: StorageOptions & { maxRecords: number }) => Storage;
      };
      // Keeps all measured records.
      return new RedisStorage(url, {
        hooks,
        ...options,
        maxRecords: 10_000_000,
      });
    },
  },
];

/** Throws for an unknown name. */
export function engineOf(name: string): Engine {
  const engine = ENGINES.find((each) => each.name === name);
  if (!engine)
    throw new Error(`Unknown storage: ${name}. Storages: ${ENGINES.map(({ name }) => name).join(', ')}.`);
  return engine;
}

/** Opens the writing end of a storage in this thread. */
export async function openWriter(storage: Storage, context: WriterContext): Promise<StorageWriter> {
  if (storage.openWriter) return storage.openWriter(context);
  return ((await import(storage.module!)) as StorageModule).openWriter(storage.threadOptions(), context);
}
