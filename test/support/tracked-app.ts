/**
 * A tracked app for tests that kill it: `tracked-app.ts <directory> <URL of a storage>`. Prints `listening
 * PORT` when it is ready.
 */
import { readdirSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Storage, TrackUsage } from '../../src/index.ts';
import { storageAt } from '../../src/storages/by-url.ts';
import { RedisStorage } from '../../src/storages/redis/index.ts';

/** Number of records that its storage keeps if it is Redis. More than any test stores. */
export const MAX_RECORDS = 10_000_000;

/** Returns its storage, which keeps all records. By default, Redis keeps the newest 100,000. */
export async function storageOf(url: string): Promise<Storage> {
  const hooks = ['urls', 'server'] as const;
  const location = storageAt(url);
  return location.scheme === 'redis'
    ? new RedisStorage(url, { hooks, maxRecords: MAX_RECORDS })
    : location.open(hooks);
}

/** Returns the directory of its journals, for one storage. */
export function journalsOf(directory: string): string {
  const journals = join(directory, 'journals');
  return join(journals, readdirSync(journals)[0]!);
}

if (import.meta.main) {
  const [directory = '', url = ''] = process.argv.slice(2);
  const storage = await storageOf(url);
  const server = http.createServer((_request, response) => response.end('hello'));
  // The tests cause problems of the storage deliberately.
  const onError = () => {};
  new TrackUsage(server, storage, { journal: { dir: join(directory, 'journals') }, onError });
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
  });
}
