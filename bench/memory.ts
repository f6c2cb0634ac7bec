import { join } from 'node:path';
import type { End } from './servers/main.ts';
import type { VariantName } from './servers/variants.ts';
import { Child } from './support/child.ts';
import { KeepAliveClient } from './support/client.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, integer, signed, spread, table } from './support/figures.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';

const SERVER = join(import.meta.dirname, 'servers', 'main.ts');
const CONNECTIONS = 64;
const VARIANTS = ['bare', 'track-usage', 'track-usage, group'] as const;

/** Resident set sizes of the server's process, in bytes. */
interface Result {
  before: number;
  /** Size after half of the requests. If the second half grows as much, memory is unbounded. */
  half: number;
  after: number;
  /** Growth of the app thread's heap. */
  heapGrowth: number;
}

/** Measures the memory that a million distinct URLs leave in the server. */
export async function run({ quick, rounds = quick ? 1 : 3 }: BenchOptions): Promise<Report> {
  const [warmUp, requests] = quick ? [5_000, 50_000] : [50_000, 1_000_000];
  const data: Record<string, Result[]> = {};
  for (let round = 1; round <= rounds; round++) {
    for (const variant of VARIANTS) {
      progress(`memory: round ${round} of ${rounds}, ${variant}`);
      data[variant] = [...(data[variant] ?? []), await measure(variant, warmUp, requests)];
    }
  }
  return {
    title: 'Memory',
    method:
      `A node:http server receives ${integer(requests)} requests to distinct URLs, after a warm-up of ${integer(warmUp)}. ` +
      'Memory is measured before and after, when all requests are stored and the garbage of the app thread is ' +
      `collected. Rounds: ${rounds}. Median (min–max), MB.`,
    tables: [{ title: 'Resident set size of the process', text: tableOf(data) }],
    data,
  };
}

async function measure(variant: VariantName, warmUp: number, requests: number): Promise<Result> {
  const directory = newDirectory();
  const server = new Child(SERVER, { args: ['node:http', variant, directory], flags: ['--expose-gc'] });
  try {
    const client = new KeepAliveClient(await server.call<number>('port'), CONNECTIONS);
    /** Waits until everything is stored and garbage has been collected. */
    const settle = async () => {
      const { handled, stored } = await server.call<End>('end');
      if (stored !== undefined && stored !== handled) {
        throw new Error(`${variant}: the server handled ${handled} requests, the storage has ${stored} hits`);
      }
      return server.call<NodeJS.MemoryUsage>('collect');
    };
    await client.get(warmUp, (n) => `/warm-up/${n}`);
    const before = await settle();
    const load = (from: number) =>
      client.get(requests / 2, (n) => `/products/${from + n}?session-of=${n * 7}&list=new-arrivals`);
    await load(0);
    const half = await settle();
    await load(requests / 2);
    const after = await settle();
    return {
      before: before.rss,
      half: half.rss,
      after: after.rss,
      heapGrowth: after.heapUsed - before.heapUsed,
    };
  } finally {
    await server.stop();
    removeDirectory(directory);
  }
}

function tableOf(data: Record<string, Result[]>): string {
  const rows = Object.entries(data).map(([variant, results]) => {
    const of = (figure: (result: Result) => number, show: (value: number) => string) =>
      spread(
        results.map((result) => figure(result) / 1e6),
        show,
      );
    return [
      variant,
      of(({ before }) => before, decimals(0)),
      of(({ after }) => after, decimals(0)),
      of(({ before, after }) => after - before, signed),
      of(({ half, before }) => half - before, signed),
      of(({ half, after }) => after - half, signed),
      of(({ heapGrowth }) => heapGrowth, signed),
    ];
  });
  return table(['', 'before', 'after', 'growth', 'first half', 'second half', "app thread's heap"], rows);
}
