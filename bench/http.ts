import type { End, Framework } from './servers/main.ts';
import type { VariantName } from './servers/variants.ts';
import { decimals, signed, spread, table, whole } from './support/figures.ts';
import { type Measurement, measure, requireLoadTools } from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { installPeers } from './support/peers.ts';

/** In this order; each is compared with the bare server measured last before it. */
const OURS = ['bare', 'track-usage', 'track-usage, group', 'idle thread, one append'] as const;
const SHARED = [...OURS, ...(['bare', 'SQLite by hand', 'morgan'] as const)] as const;
const LINE_UP: Record<Framework, readonly VariantName[]> = {
  'node:http': SHARED,
  'Express 5': [...SHARED, 'bare', 'swagger-stats', 'express-prom-bundle'],
  'Fastify 5': [...OURS, 'bare', 'SQLite by hand'],
  'Koa 3': [...OURS, 'bare', 'SQLite by hand'],
  'Hono 4': [...OURS, 'bare', 'SQLite by hand'],
};

/** CPU time in µs a request. */
interface Cost {
  throughput: number;
  thread: number;
  process: number;
}

/** One server under load, and the bare server before it. */
interface Result extends Cost, End {
  bare: Cost;
}

/** What a request costs, beside the bare server and beside others. */
export async function run({ quick, rounds = quick ? 1 : 3 }: BenchOptions): Promise<Report> {
  requireLoadTools();
  installPeers();
  const window = quick ? { warmUp: 0.5, measured: 1 } : { warmUp: 2, measured: 5 };
  const data: Record<string, Record<string, Result[]>> = {};
  for (let round = 1; round <= rounds; round++) {
    for (const [framework, variants] of Object.entries(LINE_UP) as [Framework, readonly VariantName[]][]) {
      let bare: Cost | undefined;
      const results = data[framework] ?? {};
      data[framework] = results;
      for (const variant of variants) {
        progress(`http: round ${round} of ${rounds}, ${framework}, ${variant}`);
        const measurement = await measure(framework, variant, window);
        const cost = costOf(measurement);
        if (variant === 'bare' || !bare) bare = cost;
        results[variant] = [...(results[variant] ?? []), { ...cost, ...measurement.end, bare }];
      }
    }
  }
  return {
    title: 'A request',
    method:
      'The app thread alone on one core; its other threads, such as our writer, share the other with the load: ' +
      '64 connections with browser-like requests, ' +
      `alternating, rounds: ${rounds}. Median (min–max); shares and differences are to the bare server measured ` +
      'just before. Of track-usage every request that the server handled was found in the storage.',
    tables: Object.entries(data).map(([title, results]) => ({ title, text: tableOf(results) })),
    data,
  };
}

function costOf({ begin, finish }: Measurement): Cost {
  const requests = finish.handled - begin.handled;
  return {
    throughput: (requests / (finish.time - begin.time)) * 1000,
    thread: (finish.thread - begin.thread) / requests,
    process: (finish.process - begin.process) / requests,
  };
}

function tableOf(results: Record<string, Result[]>): string {
  const rows = Object.entries(results).map(([variant, list]) => {
    const isBare = variant === 'bare';
    const cpu = (pick: 'thread' | 'process') =>
      isBare
        ? `${spread(
            list.map((result) => result[pick]),
            decimals(1),
          )} in all`
        : spread(
            list.map((result) => result[pick] - result.bare[pick]),
            signed,
          );
    const shares = list.map(({ throughput, bare }) => throughput / bare.throughput);
    const catchUp = list.filter(({ stored }) => stored !== undefined).map((result) => result.catchUp);
    return [
      variant,
      spread(
        list.map(({ throughput }) => throughput),
        whole,
      ),
      isBare ? '1' : spread(shares, decimals(2)),
      cpu('thread'),
      cpu('process'),
      spread(catchUp, decimals(1)),
    ];
  });
  return table(
    ['', 'requests/s', 'share of bare', 'app thread, µs/request', 'process, µs/request', 'stored after, s'],
    rows,
  );
}
