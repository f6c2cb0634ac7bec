/**
 * App with storages in memory, and with an argument also a SQLite file: `memory-app.ts [file]`. Reports over IPC
 * how many hits its memory contains. Ends as requested: `close`, `exit`.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TrackUsage } from '../../src/index.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

const [file] = process.argv.slice(2);
const server = createServer((_, response) => response.end('hello'));
const memory = new MemoryStorage({ hooks: ['server'] });
const storages = file ? [memory, new SqliteStorage(file, { hooks: ['server'] })] : [memory];
const usage = new TrackUsage(server, storages, { geo: false });

server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address() as AddressInfo;
  for (let i = 0; i < 3; i++) await (await fetch(`http://127.0.0.1:${port}/${i}`)).text();
  if (!file) await usage.flush();
  const [sum] = await usage.getSum('server', { period: 'day' });
  process.send!({ hits: sum?.hits ?? 0, state: usage.status().journal.state });
});

process.on('message', async (message) => {
  if (message === 'exit') process.exit();
  if (message === 'status') return void process.send!(usage.status());
  if (message === 'flush') {
    await usage.flush();
    const [sum] = await usage.getSum('server', { period: 'day' });
    return void process.send!({ hits: sum?.hits ?? 0 });
  }
  server.closeAllConnections();
  server.close();
  await usage.close();
  process.disconnect();
});
