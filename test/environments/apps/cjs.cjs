const { createServer } = require('node:http');
const { sumUrls, TrackUsage } = require('track-usage');
const { SqliteStorage } = require('track-usage/sqlite');

const server = createServer((_request, response) => response.end('hello'));
const usage = new TrackUsage(server, new SqliteStorage('usage.db', { hooks: [sumUrls] }));
server.listen(0, '127.0.0.1', async () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  for (const path of ['/', '/about', '/']) await fetch(origin + path);
  await usage.flush({ timeout: 30_000 });
  const urls = await usage.getSum(sumUrls, { period: 'day' });
  console.log(JSON.stringify(urls.map(({ key, hits }) => [key.slice(origin.length), hits])));
  server.close();
  server.closeAllConnections();
  await usage.close({ timeout: 30_000 });
});
