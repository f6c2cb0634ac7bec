/** A tracked server that is killed: see access-log.test.ts. With `drain` it stores what is left, and ends. */
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
  const { directory: own } = usage.status().journal;
  const others = () => readdirSync(dirname(own)).filter((name) => name !== basename(own));
  const timer = setInterval(async () => {
    if (others().length > 0) return;
    clearInterval(timer);
    await usage.close();
    process.disconnect?.();
  }, 50);
} else {
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
}
