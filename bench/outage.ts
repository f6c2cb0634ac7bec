import { join } from 'node:path';
import type { UsageStatus } from '../src/index.ts';
import { Child } from './support/child.ts';
import { decimals, table, whole } from './support/figures.ts';
import { load, requireLoadTools } from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { newDirectory, removeDirectory } from './support/place.ts';
import { engineOf } from './support/storages.ts';

const SERVING = join(import.meta.dirname, 'serving.ts');
const CONNECTIONS = 16;

/** Clients' view of a time window. Latencies in ms. */
interface While {
  name: string;
  requests: number;
  perSecond: number;
  p50: number;
  p99: number;
  max: number;
  /** Number of records in the journal at its end. */
  waiting: number;
}

/**
 * Measures the effect of a database outage of one minute under load: the cost for requests, and any losses.
 */
export async function run({
  quick,
  storage = 'postgres',
  minutes = quick ? 0.05 : 1,
}: BenchOptions): Promise<Report> {
  requireLoadTools();
  const engine = engineOf(storage);
  const directory = newDirectory();
  const place = await engine.start(directory);
  const app = new Child(SERVING);
  try {
    const { url, server } = place;
    if (!server) throw new Error(`${storage} has no server that could be stopped`);
    const port = await app.ask<number>('serve', { directory, engine: engine.name, url });
    const seconds = Math.ceil(minutes * 60);
    const whiles: While[] = [];
    const pass = async (name: string) => {
      progress(`outage: ${storage}, ${name}`);
      whiles.push(await clients(name, port, seconds, app));
    };
    await load(port, { connections: CONNECTIONS, seconds: Math.ceil(seconds / 10) });
    await pass('up');
    await server.stop();
    await pass('stopped');
    await server.start();
    await pass('up again');
    const [handled, started] = [await app.ask<number>('handled'), performance.now()];
    const stored = await app.ask<number>('stored');
    const catchUp = (performance.now() - started) / 1000;
    if (stored !== handled) throw new Error(`${handled} requests were handled, the storage has ${stored}`);
    return {
      title: 'A database that is stopped',
      method:
        `node:http with seven summaries in ${storage}, under all the load that ${CONNECTIONS} connections make, on two ` +
        `cores with the load and the database: ${seconds} s while the database is up, ${seconds} s after it was ` +
        `killed, ${seconds} s after it was started again. All ${whole(handled)} requests were answered with 200, and ` +
        `each was stored once, the last of them ${decimals(1)(catchUp)} s after the load ended.`,
      tables: [{ title: 'What the clients saw', text: tableOf(whiles) }],
      data: { storage, seconds, whiles, handled, catchUp },
    };
  } finally {
    await app.stop();
    await place.stop();
    removeDirectory(directory);
  }
}

async function clients(name: string, port: number, seconds: number, app: Child): Promise<While> {
  const said = await load(port, { connections: CONNECTIONS, seconds, flags: ['--latency'] });
  const { storages } = await app.ask<UsageStatus>('status');
  const number = (pattern: RegExp) => Number(pattern.exec(said)?.[1]);
  return {
    name,
    requests: number(/(\d+) requests in/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50: milliseconds(/^\s+50%\s+(\S+)/m.exec(said)?.[1]),
    p99: milliseconds(/^\s+99%\s+(\S+)/m.exec(said)?.[1]),
    max: milliseconds(/^\s+Latency\s+\S+\s+\S+\s+(\S+)/m.exec(said)?.[1]),
    waiting: storages[0]!.lag.records,
  };
}

/** Parses a duration of wrk: `980.00us`, `1.25ms` and `2.01s`. */
function milliseconds(text = ''): number {
  const [, value, unit = ''] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? [];
  const factor = { us: 0.001, ms: 1, s: 1000 }[unit];
  if (factor === undefined) throw new Error(`no latency: ${text}`);
  return Number(value) * factor;
}

function tableOf(whiles: readonly While[]): string {
  return table(
    ['', 'requests', 'requests/s', 'p50, ms', 'p99, ms', 'longest, ms', 'records waiting at its end'],
    whiles.map(({ name, requests, perSecond, p50, p99, max, waiting }) => [
      name,
      ...[requests, perSecond].map(whole),
      ...[p50, p99, max].map(decimals(2)),
      whole(waiting),
    ]),
  );
}
