/** Starts in an empty folder, counts three requests, and ends. */
import http from 'node:http';
import { join } from 'node:path';
import { TrackUsage } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

const [directory = ''] = process.argv.slice(2);
const server = http.createServer((_request, response) => response.end());
const usage = new TrackUsage(server, new SqliteStorage(join(directory, 'usage.db'), { hooks: ['server'] }), {
  journal: { dir: join(directory, 'journals') },
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as { port: number };
for (let i = 0; i < 3; i++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
await usage.flush();
await usage.close();
server.close();
server.closeAllConnections();
