import type { Framework } from './servers/main.ts';
import { LINE_UP, type VariantName } from './servers/variants.ts';
import { decimals, median, quarters, signed, table } from './support/figures.ts';
import { LoadedServer, requireLoadTools } from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { installPeers } from './support/peers.ts';

/** CPU time in µs a request; of the bare server, too, measured just before. */
interface Cost {
  own: number;
  bare: number;
}

/** One value a round. */
type Costs = Partial<Record<VariantName, Cost[]>>;

/** In a window, which takes about 30 ms: so short that a machine seldom slows down between two of them. */
const REQUESTS = 2_000;
const WARM_UP = 30_000;

/** What a request costs the app's thread beside the network, which the noise of a shared machine is mostly of. */
export async function run({ quick, rounds = quick ? 10 : 100, frameworks }: BenchOptions): Promise<Report> {
  requireLoadTools();
  installPeers();
  const data: Partial<Record<Framework, Costs>> = {};
  for (const framework of frameworks.length > 0 ? frameworks : (Object.keys(LINE_UP) as Framework[])) {
    progress(`in-memory: ${framework}`);
    const bareServer = new LoadedServer(framework, 'bare');
    const servers = LINE_UP[framework].map((variant) => new LoadedServer(framework, variant));
    const costs: Costs = { bare: [] };
    try {
      for (const server of [bareServer, ...servers]) await server.askFromMemory(WARM_UP);
      for (let round = 0; round < rounds; round++) {
        for (const server of servers) {
          const bare = await bareServer.askFromMemory(REQUESTS);
          const own = await server.askFromMemory(REQUESTS);
          costs[server.variant] = [...(costs[server.variant] ?? []), { own, bare }];
          costs.bare!.push({ own: bare, bare });
        }
      }
    } finally {
      for (const server of [bareServer, ...servers]) await server.stop();
    }
    data[framework] = costs;
  }
  return {
    title: 'A request without a network',
    method:
      'CPU time of the app thread alone on its core. Requests come from memory by streams and responses go nowhere, ' +
      `so the bare server costs less than with sockets. ${REQUESTS.toLocaleString('en')} requests of each in turn, ` +
      `${rounds} times, each after as many of the bare server; median (lower quarter–upper quarter), differences to the bare server measured just before.`,
    tables: Object.entries(data).map(([title, costs]) => ({ title, text: tableOf(costs) })),
    short: shortOf(data),
    data,
  };
}

/** What is more than the bare server's. */
function overBare(costs: readonly Cost[]): number[] {
  return costs.map(({ own, bare }) => own - bare);
}

function tableOf(costs: Costs): string {
  return table(
    ['', 'µs/request', 'over bare'],
    Object.entries(costs).map(([variant, list]) => [
      variant,
      quarters(
        list.map(({ own }) => own),
        decimals(1),
      ),
      variant === 'bare' ? '–' : quarters(overBare(list), signed),
    ]),
  );
}

/** A row for each variant, a column for each framework. */
function shortOf(data: Partial<Record<Framework, Costs>>): string {
  const variants = new Set(Object.values(data).flatMap((costs) => Object.keys(costs) as VariantName[]));
  const cell = (list: Cost[] | undefined, variant: VariantName) => {
    if (!list) return '–';
    if (variant === 'bare') return `${median(list.map(({ own }) => own)).toFixed(1)} in all`;
    return signed(median(overBare(list)));
  };
  return table(
    ['app thread, µs/request', ...Object.keys(data)],
    [...variants].map((variant) => [
      variant,
      ...Object.values(data).map((costs) => cell(costs[variant], variant)),
    ]),
  );
}
