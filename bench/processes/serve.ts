/** Process of a tracked node:http server with one of the measured storages. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { UsageStatus } from '../../src/index.ts';
import { handled } from '../servers/handler.ts';
import { buildNode } from '../servers/node.ts';
import { handleCalls } from '../support/child.ts';
import { ALL_HOOKS, library } from '../support/library.ts';
import { engineOf } from '../support/storages.ts';

interface ServeOptions {
  directory: string;
  engine: string;
  url: string;
}

let usage: InstanceType<Awaited<ReturnType<typeof library>>['TrackUsage']>;

handleCalls({
  /** Returns the port. */
  async serve({ directory, engine, url }: ServeOptions): Promise<number> {
    const { TrackUsage } = await library();
    const storage = await engineOf(engine).storage(url, ALL_HOOKS);
    const { app, listen } = await buildNode({ options: undefined, middleware: undefined, plugIn: () => {} });
    // The storage is stopped deliberately, so its errors are ignored.
    usage = new TrackUsage(app, storage, { journal: { dir: join(directory, 'journal') }, onError: () => {} });
    const server = listen(0, '127.0.0.1');
    await once(server, 'listening');
    await usage.ready();
    return (server.address() as AddressInfo).port;
  },
  status: (): UsageStatus => usage.status(),
  handled: () => handled.count,
  /** Waits until everything is stored, and returns the number of hits. */
  async stored(): Promise<number> {
    await usage.flush({ timeout: 3_600_000 });
    const months = await usage.getSum('server', { period: 'month' });
    return months.reduce((sum, { hits }) => sum + hits, 0);
  },
});
