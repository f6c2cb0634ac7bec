// npm install track-usage, then: node main.ts
import { createServer } from 'node:http';
import { sumUrls, TrackUsage } from 'track-usage';
import { JsonLinesStorage } from './json-lines.ts';

const { PORT = '3000', HOST = '127.0.0.1' } = process.env;

const server = createServer(async (request, response) => {
  if (request.url === '/') response.end('Hello!');
  else if (request.url === '/admin/usage') {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(await usage.getSum(sumUrls, { period: 'day' })));
  } else response.writeHead(404).end();
});
const usage = new TrackUsage(server, new JsonLinesStorage('usage.jsonl', { hooks: [sumUrls] }));

// Not tracked, by its path.
usage.exclude('/admin/*');

server.listen(Number(PORT), HOST, () => {
  const address = server.address();
  if (typeof address === 'object') console.log(`http://${HOST}:${address?.port}`);
});

process.once('SIGTERM', () => server.close(() => usage.close()));
