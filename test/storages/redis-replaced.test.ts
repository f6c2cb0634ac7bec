import { afterAll, beforeAll, describe } from 'vitest';
import { RedisStorage } from '../../src/storages/redis/index.ts';
import { RedisServer } from '../support/servers/redis.ts';
import { isWanted } from '../support/services.ts';
import { replacedCases } from './replaced-database.ts';

const hasRedis = isWanted('redis');
let server: RedisServer;
beforeAll(async () => {
  if (hasRedis) server = await RedisServer.start();
});
afterAll(() => server?.close());

const openDatabase = async () => ({
  storage: (hooks: string[]) => new RedisStorage(server.url, { hooks }),
  drop: async () => server.cli('flushall'),
  remove: async () => server.cli('flushall'),
});

describe.skipIf(!hasRedis)('Redis', () => replacedCases(openDatabase, false));
