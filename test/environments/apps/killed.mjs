import { createServer } from 'node:http';
import { sumServer, sumUrls, TrackUsage } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';

// Sends itself two requests, then a signal.
const server = createServer((_request, response) => response.end('hello'));
new TrackUsage(server, new SqliteStorage('usage.db', { hooks: [sumUrls, sumServer] }));
server.listen(0, '127.0.0.1', async () => {
  const url = `http://127.0.0.1:${server.address().port}/`;
  await Promise.all([fetch(url), fetch(url)].map(async (response) => (await response).text()));
  process.kill(process.pid, process.env.SIGNAL ?? 'SIGKILL');
});
