/** Creates several instances and closes only the first. The process must still exit. */
import http from 'node:http';
import { join } from 'node:path';
import { TrackUsage } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

const [directory = ''] = process.argv.slice(2);
process.on('warning', (warning) => process.stderr.write(`${warning.message}\n`));
const [first, ...others] = Array.from({ length: 12 }, (_, number) => {
  const server = http.createServer((_request, response) => response.end());
  return new TrackUsage(server, new SqliteStorage(join(directory, `${number}.db`)), {
    geo: false,
    journal: { dir: directory },
  });
});
await Promise.all([first, ...others].map((usage) => usage?.ready()));
await first?.close();
