/**
 * A tracked app that is there to be killed: `tracked-app.ts <directory> <URL of a storage>`. Prints `listening PORT`
 * when it takes requests.
 */
import { readdirSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TrackUsage } from '../../src/index.ts';
import { storageAt } from '../../src/storages/by-url.ts';

/** Where it keeps its journals, of one storage. */
export function journalsOf(directory: string): string {
  const journals = join(directory, 'journals');
  return join(journals, readdirSync(journals)[0]!);
}

if (import.meta.main) {
  const [directory = '', url = ''] = process.argv.slice(2);
  const storage = await storageAt(url).open(['urls', 'server']);
  const server = http.createServer((_request, response) => response.end('hello'));
  // What goes wrong with the storage is what the tests are about.
  const onError = () => {};
  new TrackUsage(server, storage, { journal: { dir: join(directory, 'journals') }, onError });
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
  });
}
