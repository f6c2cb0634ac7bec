/** A tracked server that responds with 404 to every request, and reports its memory on request. */
import http from 'node:http';
import { join } from 'node:path';
import { TrackUsage } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

const [directory = ''] = process.argv.slice(2);
const server = http.createServer((_request, response) => {
  response.statusCode = 404;
  response.end('nothing here');
});
const usage = new TrackUsage(
  server,
  new SqliteStorage(join(directory, 'usage.db'), { hooks: ['urls', 'server'] }),
  {
    journal: { dir: directory },
  },
);
process.on('message', async () => {
  await usage.flush();
  const [sum] = await usage.getSum('server', { period: 'month' });
  globalThis.gc!();
  globalThis.gc!();
  process.send!({ rss: process.memoryUsage.rss(), hits: sum!.hits });
});
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as { port: number }).port }));
