/** Server under attack. Arguments: variant (`bare` or `tracked`), directory. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { handleCalls } from '../support/child.ts';
import { library, onError } from '../support/library.ts';

/** State after the attack. */
export interface Attacked {
  /** Number of completed responses. */
  handled: number;
  /** Number of hits in the summaries of the month, by summary; empty without tracking. */
  hits: Record<string, number>;
  /** Number of keys of the month, by summary. */
  keys: Record<string, number>;
  /** Resident set size, in bytes. */
  rss: number;
}

const HOOKS = ['urls', 'user-agents', 'referrers', 'visitors', 'remotes', 'status'];

const [variant, directory] = process.argv.slice(2) as [string, string];
let handled = 0;
const server = http.createServer((request, response) => {
  if (!request.url!.startsWith('/shop')) response.statusCode = 404;
  response.end('<!doctype html><title>Shop</title><p>Nothing to see here.</p>');
  handled += 1;
});
const { TrackUsage, SqliteStorage } = await library();
const usage =
  variant === 'bare'
    ? undefined
    : new TrackUsage(server, new SqliteStorage(join(directory, 'usage.db'), { hooks: HOOKS }), {
        cookie: true,
        journal: { dir: join(directory, 'journal') },
        onError,
      });
// Connections of the client may be idle for long.
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1');
await once(server, 'listening');

handleCalls({
  port: () => (server.address() as AddressInfo).port,
  async end(): Promise<Attacked> {
    const found: Attacked = { handled, hits: {}, keys: {}, rss: 0 };
    if (usage) {
      await usage.flush({ timeout: 600_000 });
      for (const summary of HOOKS) {
        const { total, count } = await usage.query.top(summary, { range: 'all', limit: 1 });
        found.hits[summary] = total.hits;
        found.keys[summary] = count;
      }
      await usage.close();
    }
    globalThis.gc!();
    return { ...found, rss: process.memoryUsage.rss() };
  },
});
