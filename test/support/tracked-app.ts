/**
 * A tracked app for tests that kill it: `tracked-app.ts <directory> <URL of a storage>`. Prints `listening
 * PORT` when it is ready.
 */
import { readdirSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TrackUsage } from '../../src/index.ts';
import { storageAt } from '../../src/storages/by-url.ts';

/** Returns the directory of its journals, for one storage. */
export function journalsOf(directory: string): string {
  const journals = join(directory, 'journals');
  return join(journals, readdirSync(journals)[0]!);
}

if (import.meta.main) {
  const [directory = '', url = ''] = process.argv.slice(2);
  const storage = await storageAt(url).open(['urls', 'server']);
  const server = http.createServer((_request, response) => response.end('hello'));
  // The tests cause problems of the storage deliberately.
  const onError = () => {};
  new TrackUsage(server, storage, { journal: { dir: join(directory, 'journals') }, onError });
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
  });
}
