import type { Framework } from './servers/variant.ts';
import { LINE_UP, type VariantName } from './servers/variants.ts';
import { decimals, median, overview, signed, spread, table } from './support/figures.ts';
import { type LoadedServer, requireLoadTools, withServers } from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { installPeers } from './support/peers.ts';

/** CPU time in µs per request, and that of the bare server, measured just before. */
interface Cost {
  own: number;
  bare: number;
}

/**
 * One value per round. Each round uses new processes, because two processes of the same program may differ
 * permanently.
 */
type Costs = Partial<Record<VariantName, Cost[]>>;

/**
 * Number of requests per window, which takes about 30 ms. Short, so that the machine's speed seldom changes
 * between two windows.
 */
const REQUESTS = 2_000;
const WINDOWS = 8;
const WARM_UP = 10_000;

/**
 * Measures the cost of a request in the app's thread, without the network, which causes most of the noise on
 * a shared machine.
 */
export async function run({ quick, rounds = quick ? 1 : 6, frameworks }: BenchOptions): Promise<Report> {
  requireLoadTools();
  installPeers();
  const data: Partial<Record<Framework, Costs>> = {};
  for (const framework of frameworks.length > 0 ? frameworks : (Object.keys(LINE_UP) as Framework[])) {
    const costs: Costs = { bare: [] };
    for (let round = 1; round <= rounds; round++) {
      progress(`in-memory: ${framework}, round ${round} of ${rounds}`);
      await addRound(framework, costs, quick ? 2 : WINDOWS);
    }
    data[framework] = costs;
  }
  return {
    title: 'A request without a network',
    method:
      'CPU time of the app thread alone on its core. Requests come from memory by streams and responses go nowhere, ' +
      `so the bare server costs less than with sockets. ${REQUESTS.toLocaleString('en')} requests of each, ` +
      `${WINDOWS} times, each time after as many of the bare server, of whose difference the median counts; ` +
      `${rounds} rounds, each with new processes that first had some full collections, as any that has run for a ` +
      'while. Median (min–max) of the rounds.',
    tables: Object.entries(data).map(([title, costs]) => ({ title, text: tableOf(costs) })),
    short: overview(data, (cost) => cost),
    data,
  };
}

async function addRound(framework: Framework, costs: Costs, windows: number): Promise<void> {
  const warmUp = (server: LoadedServer) => server.askFromMemory(WARM_UP);
  await withServers(framework, ['bare', ...LINE_UP[framework]], warmUp, async ([bareServer, ...servers]) => {
    for (const server of servers) {
      const found: Cost[] = [];
      for (let i = 0; i < windows; i++) {
        const bare = await bareServer!.askFromMemory(REQUESTS);
        found.push({ own: await server.askFromMemory(REQUESTS), bare });
      }
      const bare = median(found.map((cost) => cost.bare));
      const own = bare + median(overBare(found));
      costs[server.variant] = [...(costs[server.variant] ?? []), { own, bare }];
      costs.bare!.push({ own: bare, bare });
    }
  });
}

/** Returns the cost above the bare server's. */
function overBare(costs: readonly Cost[]): number[] {
  return costs.map(({ own, bare }) => own - bare);
}

function tableOf(costs: Costs): string {
  return table(
    ['', 'µs/request', 'over bare'],
    Object.entries(costs).map(([variant, list]) => [
      variant,
      spread(
        list.map(({ own }) => own),
        decimals(1),
      ),
      variant === 'bare' ? '–' : spread(overBare(list), signed),
    ]),
  );
}
