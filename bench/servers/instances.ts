/** Process with several tracked servers: `directory count`. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { handleCalls } from '../support/child.ts';
import { ALL_HOOKS, library, onError } from '../support/library.ts';

const REQUESTS = 200;

const [directory = '', count = '0'] = process.argv.slice(2);
const { TrackUsage, SqliteStorage } = await library();

const instances = await Promise.all(
  Array.from({ length: Number(count) }, async (_, number) => {
    const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const storage = new SqliteStorage(join(directory, `${number}.db`), { hooks: ALL_HOOKS });
    const usage = new TrackUsage(server, storage, { journal: { dir: join(directory, 'journal') }, onError });
    await usage.ready();
    return { server, usage };
  }),
);

const request = async (server: Server, path: string) => {
  const { port } = server.address() as AddressInfo;
  await (await fetch(`http://127.0.0.1:${port}/${path}`)).text();
};

async function residentSize(): Promise<number> {
  await sleep(1_500);
  for (let i = 0; i < 3; i++) globalThis.gc!();
  return process.memoryUsage.rss();
}

handleCalls({
  async stored() {
    for (let i = 0; i < REQUESTS; i++)
      await Promise.all(instances.map(({ server }) => request(server, `${i % 50}`)));
    await Promise.all(instances.map(({ usage }) => usage.flush()));
    return residentSize();
  },
  async queried() {
    await Promise.all(instances.map(({ usage }) => usage.getSum('urls')));
    return residentSize();
  },
});
