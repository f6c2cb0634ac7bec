import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type RedisClient, RedisStorage } from '../../src/storages/redis/index.ts';
import { type Subject, storageCases, type TestLocation } from '../../src/testing/index.ts';
import { clientCases } from '../support/client-cases.ts';
import { laterServer } from '../support/servers/later.ts';
import { RedisServer } from '../support/servers/redis.ts';

const given = process.env.TEST_REDIS_URL;
let server: RedisServer | undefined;
beforeAll(async () => {
  if (!given) server = await RedisServer.start();
});
afterAll(() => server?.close());

const stoppable = laterServer(given, () => server!);

function urlAt(port?: number): string {
  const url = new URL(given ?? server!.url);
  if (port) url.port = String(port);
  return url.href;
}

async function deleteKeys(prefix: string): Promise<void> {
  const client = createClient({ url: urlAt() });
  await client.connect();
  for await (const keys of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 1_000 })) {
    if (keys.length > 0) await client.unlink(keys);
  }
  client.destroy();
}

async function newLocation(): Promise<TestLocation> {
  const prefix = `test-${randomUUID()}`;
  return {
    storage: (hooks, port) => new RedisStorage(urlAt(port), { prefix, ...(hooks && { hooks }) }),
    ...(!given && { contains: async (text) => server!.contains(text) }),
    remove: () => deleteKeys(prefix),
  };
}

/** Returns a function that creates a location whose storages each use a new client. */
function locationWith(open: (url: string) => { client: RedisClient; close(): void }) {
  return async (): Promise<TestLocation> => {
    const prefix = `test-${randomUUID()}`;
    const opened: { close(): void }[] = [];
    return {
      storage(hooks, port) {
        const each = open(urlAt(port));
        opened.push(each);
        return new RedisStorage(each.client, { prefix, ...(hooks && { hooks }) });
      },
      async remove() {
        for (const each of opened) each.close();
        await deleteKeys(prefix);
      },
    };
  };
}

function openNodeRedis(url: string) {
  const client = createClient({ url, socket: { reconnectStrategy: 50 } });
  client.on('error', () => {});
  client.connect().catch(() => {});
  return { client, close: () => client.destroy() };
}

function openIoRedis(url: string) {
  const client = new Redis(url, { retryStrategy: () => 50 });
  client.on('error', () => {});
  return { client, close: () => client.disconnect() };
}

const subjects: Subject[] = [
  {
    name: 'opened by URL, in the writer thread',
    createLocation: newLocation,
    interfaces: ['library', 'http'],
  },
  { name: 'opened by a client of redis', createLocation: locationWith(openNodeRedis) },
  { name: 'opened by a client of ioredis', createLocation: locationWith(openIoRedis) },
];
describe.each(subjects)('$name', (subject) => {
  const casesOf = subject === subjects[0] ? storageCases : clientCases;
  const cases = casesOf({
    ...subject,
    ...(stoppable && { server: stoppable }),
    cannot: {
      records: 'a stream holds the newest ones, by default 100,000',
    },
  });
  test.each(cases)('$name', ({ run }) => run());
});
