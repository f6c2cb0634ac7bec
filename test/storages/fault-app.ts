/** A tracked app that is there to be killed: `fault-app.ts <directory> <storage's URL>`. Says `listening PORT`. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { TrackUsage } from '../../src/index.ts';
import { storageAt } from '../../src/storages/by-url.ts';

const [directory = '', url = ''] = process.argv.slice(2);
const server = http.createServer((_request, response) => response.end('hello'));
const storage = await storageAt(url).open(['urls', 'server']);
// What goes wrong is meant to.
new TrackUsage(server, storage, { geo: false, journal: { dir: directory }, onError: () => {} });
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
});
