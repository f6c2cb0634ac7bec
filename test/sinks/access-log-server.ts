/** A tracked server that access-log.test.ts kills. With `drain`, it stores the remaining records and exits. */
import { readdirSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { AccessLogWriter, TrackUsage } from '../../src/index.ts';

const [, , directory = '', task] = process.argv;
const server = http.createServer((_request, response) => response.end('hello'));
const usage = new TrackUsage(server, new AccessLogWriter(join(directory, 'access.log')), {
  geo: false,
  journal: { dir: join(directory, 'journals') },
});

if (task === 'drain') {
  const { directory: ownDirectory } = usage.status().journal;
  const others = () => readdirSync(dirname(ownDirectory)).filter((name) => name !== basename(ownDirectory));
  const timer = setInterval(async () => {
    if (others().length > 0) return;
    clearInterval(timer);
    await usage.close();
    process.disconnect?.();
  }, 50);
} else {
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
}
