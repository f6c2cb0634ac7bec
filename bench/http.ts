import type { End, Framework } from './servers/main.ts';
import { LINE_UP, type VariantName } from './servers/variants.ts';
import { decimals, median, signed, spread, table, whole } from './support/figures.ts';
import { type Measurement, measure, requireLoadTools } from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { installPeers } from './support/peers.ts';

/** So many are compared with one measurement of the bare server, the one just before them. */
const BETWEEN = 3;

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

type Results = Partial<Record<VariantName, Result[]>>;

/** What a request costs, beside the bare server and beside others. */
export async function run({ quick, rounds = quick ? 1 : 3, frameworks }: BenchOptions): Promise<Report> {
  requireLoadTools();
  installPeers();
  const window = quick ? { warmUp: 0.5, measured: 1 } : { warmUp: 2, measured: 5 };
  const chosen = frameworks.length > 0 ? frameworks : (Object.keys(LINE_UP) as Framework[]);
  const data: Partial<Record<Framework, Results>> = {};
  for (let round = 1; round <= rounds; round++) {
    for (const framework of chosen) {
      const results = data[framework] ?? {};
      data[framework] = results;
      const add = (variant: VariantName, result: Result) => {
        results[variant] = [...(results[variant] ?? []), result];
      };
      const costs = async (variant: VariantName) => {
        progress(`http: round ${round} of ${rounds}, ${framework}, ${variant}`);
        const measurement = await measure(framework, variant, window);
        return { ...costOf(measurement), ...measurement.end };
      };
      let bare!: Result['bare'];
      for (const [i, variant] of LINE_UP[framework].entries()) {
        if (i % BETWEEN === 0) {
          const result = await costs('bare');
          bare = result;
          add('bare', { ...result, bare });
        }
        add(variant, { ...(await costs(variant)), bare });
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
    short: shortOf(data),
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

/** The app thread alone: a row for each variant, a column for each framework. */
function shortOf(data: Partial<Record<Framework, Results>>): string {
  const variants = new Set(Object.values(data).flatMap((results) => Object.keys(results) as VariantName[]));
  const cell = (list: Result[] | undefined, variant: VariantName) => {
    if (!list) return '–';
    if (variant === 'bare') return `${median(list.map(({ thread }) => thread)).toFixed(1)} in all`;
    return signed(median(list.map(({ thread, bare }) => thread - bare.thread)));
  };
  return table(
    ['app thread, µs/request', ...Object.keys(data)],
    [...variants].map((variant) => [
      variant,
      ...Object.values(data).map((results) => cell(results[variant], variant)),
    ]),
  );
}

function tableOf(results: Results): string {
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
