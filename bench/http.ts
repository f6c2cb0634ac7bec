import type { End } from './servers/main.ts';
import type { Framework } from './servers/variant.ts';
import { LINE_UP, type VariantName } from './servers/variants.ts';
import { decimals, integer, overview, signed, spread, table } from './support/figures.ts';
import {
  type LoadedServer,
  type Measurement,
  requireLoadTools,
  type Window,
  withServers,
} from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { installPeers } from './support/peers.ts';

/** CPU time in µs per request. */
interface Cost {
  throughput: number;
  thread: number;
  process: number;
}

/** Result of a server under load. The bare server's is the mean of the measurements before and after it. */
interface Result extends Cost, End {
  bare: Cost;
}

type Results = Partial<Record<VariantName, Result[]>>;

/** Durations in s. Short, so that the machine's speed seldom changes between two adjacent windows. */
const WINDOW = { warmUp: 0.5, measured: 2 };
const QUICK = { warmUp: 0.2, measured: 0.3 };

const costInThread = ({ thread, bare }: Result) => ({ own: thread, bare: bare.thread });
/** Variants that the README shows. */
const README: readonly VariantName[] = [
  'bare',
  'track-usage',
  'pino-http',
  'OpenTelemetry http metrics',
  'SQLite by hand',
];

/** Measures the cost of a request, compared with the bare server and other libraries. */
export async function run({ quick, rounds = quick ? 1 : 5, frameworks }: BenchOptions): Promise<Report> {
  requireLoadTools();
  installPeers();
  const chosen = frameworks.length > 0 ? frameworks : (Object.keys(LINE_UP) as Framework[]);
  const data: Partial<Record<Framework, Results>> = {};
  for (const framework of chosen) {
    const results: Results = { bare: [] };
    for (let round = 1; round <= rounds; round++) {
      progress(`http: ${framework}, round ${round} of ${rounds}`);
      await addRound(framework, results, quick ? QUICK : WINDOW);
    }
    data[framework] = results;
  }
  return {
    title: 'Cost per request',
    method:
      'The app thread has one core. The other threads, such as the writer, share the second core with the load ' +
      'generator: 64 connections that send requests like those of browsers. All servers of a framework run, and one at ' +
      `a time is under load, for ${WINDOW.measured} s after a short warm-up. Rounds: ${rounds}, each with new processes ` +
      'after several full garbage collections, as in a long-running process. Median (min–max). Ratios and differences ' +
      'are relative to the mean of the bare server, measured immediately before and after. With track-usage, every ' +
      'request that the server handled was found in the storage.',
    tables: Object.entries(data).map(([title, results]) => ({ title, text: tableOf(results) })),
    short: overview(data, costInThread),
    readme: overview(data, costInThread, README),
    data,
  };
}

/** Measures each variant between two measurements of the bare server. */
async function addRound(framework: Framework, results: Results, window: Window): Promise<void> {
  const costs = async (server: LoadedServer): Promise<Cost & End> => {
    const measurement = await server.measure(window);
    return { ...costOf(measurement), ...measurement.end };
  };
  const warmUp = (server: LoadedServer) => server.measure(QUICK);
  await withServers(framework, ['bare', ...LINE_UP[framework]], warmUp, async ([bare, ...servers]) => {
    let before = await costs(bare!);
    for (const server of servers) {
      const found = await costs(server);
      const after = await costs(bare!);
      results[server.variant] = [
        ...(results[server.variant] ?? []),
        { ...found, bare: meanOf(before, after) },
      ];
      results.bare!.push({ ...after, bare: after });
      before = after;
    }
  });
}

function meanOf(one: Cost, other: Cost): Cost {
  const mean = (pick: keyof Cost) => (one[pick] + other[pick]) / 2;
  return { throughput: mean('throughput'), thread: mean('thread'), process: mean('process') };
}

function costOf({ begin, finish }: Measurement): Cost {
  const requests = finish.handled - begin.handled;
  return {
    throughput: (requests / (finish.time - begin.time)) * 1000,
    thread: (finish.thread - begin.thread) / requests,
    process: (finish.process - begin.process) / requests,
  };
}

function tableOf(results: Results): string {
  const rows = Object.entries(results).map(([variant, list]) => {
    const isBare = variant === 'bare';
    const cpu = (pick: 'thread' | 'process') =>
      isBare
        ? `${spread(
            list.map((result) => result[pick]),
            decimals(1),
          )} total`
        : spread(
            list.map((result) => result[pick] - result.bare[pick]),
            signed,
          );
    const ratios = list.map(({ throughput, bare }) => throughput / bare.throughput);
    const catchUp = list.filter(({ stored }) => stored !== undefined).map((result) => result.catchUp);
    return [
      variant,
      spread(
        list.map(({ throughput }) => throughput),
        integer,
      ),
      isBare ? '1' : spread(ratios, decimals(2)),
      cpu('thread'),
      cpu('process'),
      spread(catchUp, decimals(1)),
    ];
  });
  return table(
    [
      '',
      'requests/s',
      'ratio to bare',
      'app thread, µs/request',
      'process, µs/request',
      'time until stored, s',
    ],
    rows,
  );
}
