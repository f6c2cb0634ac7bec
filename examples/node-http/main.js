// npm install track-usage, then: node main.js
import { createServer } from 'node:http';
import { sumStatus, sumUrls, TrackUsage } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';

const { PORT = '3000', HOST = '127.0.0.1' } = process.env;

const server = createServer(async (request, response) => {
  if (request.url === '/') response.end('Hello!');
  else if (request.url === '/health') response.end('fine');
  else if (request.url === '/admin/usage') {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(await usage.getSum(sumUrls, { period: 'day' })));
  } else response.writeHead(404).end();
});
const usage = new TrackUsage(server, new SqliteStorage('usage.db', { hooks: [sumUrls, sumStatus] }));

// Excludes requests by path.
usage.exclude('/health');
usage.exclude('/admin/*');

server.listen(Number(PORT), HOST, () => {
  console.log(`http://${HOST}:${server.address().port}`);
});

process.once('SIGTERM', () => server.close(() => usage.close()));
