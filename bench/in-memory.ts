import type { Framework } from './servers/main.ts';
import { LINE_UP, type VariantName } from './servers/variants.ts';
import { decimals, quarters, signed, table } from './support/figures.ts';
import { LoadedServer, requireLoadTools } from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { installPeers } from './support/peers.ts';

const VARIANTS = ['bare', 'idle thread, one append', 'track-usage'] as const satisfies VariantName[];
/** In a window, which takes about 30 ms: so short that a machine that slows down does it in all of them. */
const REQUESTS = 2_000;
const WARM_UP = 30_000;

/** What a request costs the app's thread beside the network, which the noise of a shared machine is mostly of. */
export async function run({ quick, rounds = quick ? 10 : 200, frameworks }: BenchOptions): Promise<Report> {
  requireLoadTools();
  installPeers();
  const data: Partial<Record<Framework, Record<string, number[]>>> = {};
  const tables: Report['tables'] = [];
  for (const framework of frameworks.length > 0 ? frameworks : (Object.keys(LINE_UP) as Framework[])) {
    progress(`in-memory: ${framework}`);
    const servers = VARIANTS.map((variant) => ({ variant, server: new LoadedServer(framework, variant) }));
    const costs: Record<string, number[]> = Object.fromEntries(VARIANTS.map((variant) => [variant, []]));
    try {
      for (const { server } of servers) await server.askFromMemory(WARM_UP);
      for (let round = 0; round < rounds; round++) {
        for (const { variant, server } of servers) costs[variant]!.push(await server.askFromMemory(REQUESTS));
      }
    } finally {
      for (const { server } of servers) await server.stop();
    }
    data[framework] = costs;
    tables.push({ title: framework, text: tableOf(costs) });
  }
  return {
    title: 'A request without a network',
    method:
      'CPU time of the app thread alone on its core. Requests come from memory by streams and responses go nowhere, ' +
      `so the bare server costs less than with sockets. ${REQUESTS.toLocaleString('en')} requests of each in turn, ` +
      `${rounds} times; median (lower quarter–upper quarter), differences to the bare server in the same turn.`,
    tables,
    data,
  };
}

function tableOf(costs: Record<string, number[]>): string {
  return table(
    ['', 'µs/request', 'over bare'],
    Object.entries(costs).map(([variant, list]) => [
      variant,
      quarters(list, decimals(1)),
      variant === 'bare'
        ? '–'
        : quarters(
            list.map((cost, i) => cost - costs.bare![i]!),
            signed,
          ),
    ]),
  );
}
