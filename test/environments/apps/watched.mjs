import { createServer } from 'node:http';
import { sumServer, sumUrls, TrackUsage } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';

const server = createServer((_request, response) => response.end('hello'));
new TrackUsage(server, new SqliteStorage('usage.db', { hooks: [sumUrls, sumServer] }));
server.listen(0, '127.0.0.1', () => console.log(`PORT ${server.address().port} PID ${process.pid}.`));
