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
    title: 'Cost per request without a network',
    method:
      'CPU time of the app thread, which has one core. Requests come from memory through streams, and responses are ' +
      `discarded, so the bare server costs less than with sockets. Each window of ${REQUESTS.toLocaleString('en')} ` +
      'requests follows a window of the same size for the bare server. The result of a round is the median difference ' +
      `of ${WINDOWS} windows. Rounds: ${rounds}, each with new processes after several full garbage collections, as in a ` +
      'long-running process. Median (min–max) of the rounds.',
    tables: Object.entries(data).map(([title, costs]) => ({ title, text: tableOf(costs) })),
    short: overview(data, (cost) => cost),
    data,
  };
}

async function addRound(framework: Framework, costs: Costs, windows: number): Promise<void> {
  const warmUp = (server: LoadedServer) => server.requestFromMemory(WARM_UP);
  await withServers(framework, ['bare', ...LINE_UP[framework]], warmUp, async ([bareServer, ...servers]) => {
    for (const server of servers) {
      const found: Cost[] = [];
      for (let i = 0; i < windows; i++) {
        const bare = await bareServer!.requestFromMemory(REQUESTS);
        found.push({ own: await server.requestFromMemory(REQUESTS), bare });
      }
      const bare = median(found.map((cost) => cost.bare));
      const own = bare + median(differences(found));
      costs[server.variant] = [...(costs[server.variant] ?? []), { own, bare }];
      costs.bare!.push({ own: bare, bare });
    }
  });
}

/** Returns the cost above the bare server's. */
function differences(costs: readonly Cost[]): number[] {
  return costs.map(({ own, bare }) => own - bare);
}

function tableOf(costs: Costs): string {
  return table(
    ['', 'µs/request', 'difference from bare'],
    Object.entries(costs).map(([variant, list]) => [
      variant,
      spread(
        list.map(({ own }) => own),
        decimals(1),
      ),
      variant === 'bare' ? '–' : spread(differences(list), signed),
    ]),
  );
}
