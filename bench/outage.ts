import { join } from 'node:path';
import type { UsageStatus } from '../src/index.ts';
import { Child } from './support/child.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, integer, table } from './support/figures.ts';
import { load, requireLoadTools } from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { engineOf } from './support/storages.ts';

const SERVER = join(import.meta.dirname, 'processes', 'serve.ts');
const CONNECTIONS = 16;

/** Measurements of the clients during one phase. Latencies in ms. */
interface Phase {
  name: string;
  requests: number;
  perSecond: number;
  p50: number;
  p99: number;
  max: number;
  /** Number of records in the journal at the end of the phase. */
  pending: number;
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
  const database = await engine.start(directory);
  const app = new Child(SERVER);
  try {
    const { url, server } = database;
    if (!server) throw new Error(`${storage} has no server that can be stopped`);
    const port = await app.call<number>('serve', { directory, engine: engine.name, url });
    const seconds = Math.ceil(minutes * 60);
    const phases: Phase[] = [];
    const measure = async (name: string) => {
      progress(`outage: ${storage}, ${name}`);
      phases.push(await clients(name, port, seconds, app));
    };
    await load(port, { connections: CONNECTIONS, seconds: Math.ceil(seconds / 10) });
    await measure('running');
    await server.stop();
    await measure('stopped');
    await server.start();
    await measure('restarted');
    const [handled, started] = [await app.call<number>('handled'), performance.now()];
    const stored = await app.call<number>('stored');
    const catchUp = (performance.now() - started) / 1000;
    if (stored !== handled) throw new Error(`${handled} requests were handled, the storage has ${stored}`);
    return {
      title: 'Database outage',
      method:
        `node:http with seven summaries in ${storage}, at full load from ${CONNECTIONS} connections. The app, the load ` +
        `generator and the database share two cores. Phases: ${seconds} s with the database running, ${seconds} s after ` +
        `it was killed, ${seconds} s after it was restarted. All ${integer(handled)} responses had status 200. Each ` +
        `request was stored exactly once, the last one ${decimals(1)(catchUp)} s after the load ended.`,
      tables: [{ title: 'Client measurements', text: tableOf(phases) }],
      data: { storage, seconds, phases, handled, catchUp },
    };
  } finally {
    await app.stop();
    await database.stop();
    removeDirectory(directory);
  }
}

async function clients(name: string, port: number, seconds: number, app: Child): Promise<Phase> {
  const output = await load(port, { connections: CONNECTIONS, seconds, flags: ['--latency'] });
  const { storages } = await app.call<UsageStatus>('status');
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1]);
  return {
    name,
    requests: number(/(\d+) requests in/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50: milliseconds(/^\s+50%\s+(\S+)/m.exec(output)?.[1]),
    p99: milliseconds(/^\s+99%\s+(\S+)/m.exec(output)?.[1]),
    max: milliseconds(/^\s+Latency\s+\S+\s+\S+\s+(\S+)/m.exec(output)?.[1]),
    pending: storages[0]!.lag.records,
  };
}

/** Parses a duration of wrk: `980.00us`, `1.25ms` and `2.01s`. */
function milliseconds(text = ''): number {
  const [, value, unit = ''] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? [];
  const factor = { us: 0.001, ms: 1, s: 1000 }[unit];
  if (factor === undefined) throw new Error(`no latency: ${text}`);
  return Number(value) * factor;
}

function tableOf(phases: readonly Phase[]): string {
  return table(
    ['', 'requests', 'requests/s', 'p50, ms', 'p99, ms', 'max., ms', 'pending records at the end'],
    phases.map(({ name, requests, perSecond, p50, p99, max, pending }) => [
      name,
      ...[requests, perSecond].map(integer),
      ...[p50, p99, max].map(decimals(2)),
      integer(pending),
    ]),
  );
}
