import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Storage } from '../../src/storages/storage.ts';
import { clickhouseServer } from '../../test/support/servers/clickhouse.ts';
import { load } from './library.ts';

/** A place to store in, which is gone when it is stopped. */
interface Place {
  url: string;
  /** What it takes on disk by now. */
  bytes(): Promise<number>;
  stop(): Promise<void>;
}

/** A storage to measure. */
export interface Engine {
  name: string;
  start(directory: string): Promise<Place>;
  storage(url: string, hooks: readonly string[]): Promise<Storage>;
}

type Class<Name extends string> = Record<
  Name,
  new (
    url: string,
    options: { hooks: readonly string[] },
  ) => Storage
>;

export const ENGINES: readonly Engine[] = [
  {
    name: 'sqlite',
    async start(directory) {
      const url = join(directory, 'usage.db');
      return { url, bytes: async () => statSync(url).size, stop: async () => {} };
    },
    async storage(url, hooks) {
      const { SqliteStorage } = await load<Class<'SqliteStorage'>>('storages/sqlite/index.js');
      return new SqliteStorage(url, { hooks });
    },
  },
  {
    name: 'clickhouse',
    async start() {
      const server = await clickhouseServer();
      return {
        url: server.url('bench'),
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
    async storage(url, hooks) {
      const { ClickhouseStorage } = await load<Class<'ClickhouseStorage'>>('storages/clickhouse/index.js');
      return new ClickhouseStorage(url, { hooks });
    },
  },
];
