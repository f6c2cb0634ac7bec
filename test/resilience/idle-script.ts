/** A script that tracks a server that never listens, so that nothing keeps the process alive. */
import http from 'node:http';
import { join } from 'node:path';
import { TrackUsage } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

const [directory = ''] = process.argv.slice(2);
const server = http.createServer((_request, response) => response.end());
new TrackUsage(server, new SqliteStorage(join(directory, 'usage.db')), { journal: { dir: directory } });
