import { setTimeout as sleep } from 'node:timers/promises';
import type { Sample } from './servers/sampler.ts';
import { decimals, integer, median, table } from './support/figures.ts';
import { requireLoadTools, withServer } from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { installPeers } from './support/peers.ts';

/** A sampled value, in the table's units. */
interface Series {
  name: string;
  of(sample: Sample): number;
  /** Returns the value of a third of the samples. Defaults to the median. */
  by?: (values: readonly number[]) => number;
  /** Maximum increase from the first third to the last that counts as flat, in addition to `RISE`. */
  slack: number;
}

/** Minimum of the values, as after a garbage collection. */
const floor = (values: readonly number[]): number => Math.min(...values);

/** Tolerance for the effects of measuring, as a fraction of the first third. */
const RISE = 0.1;
const MB = 1e6;
const SERIES: readonly Series[] = [
  // V8 resizes the space for young objects within minutes, which is no growth of retained memory.
  {
    name: "resident size without the app thread's heap, MB",
    of: ({ rss, heapTotal }) => (rss - heapTotal) / MB,
    slack: 0,
  },
  { name: "app thread's heap, used, MB", of: ({ heapUsed }) => heapUsed / MB, by: floor, slack: 5 },
  { name: 'event loop delay, median, ms', of: ({ delay }) => delay.median, slack: 1 },
  { name: 'event loop delay, p99, ms', of: ({ delay }) => delay.p99, slack: 5 },
  // Varies with the time of the sample, between 0 and the second for which records are collected.
  { name: 'lag, s', of: ({ lag }) => lag.seconds, slack: 1 },
  // Two segments: one is filled while the previous one is stored.
  { name: 'journal, MB', of: ({ journalBytes }) => journalBytes / MB, slack: 32 },
];

/** Additional values that help to interpret the others. */
const SHOWN: readonly Omit<Series, 'slack'>[] = [
  { name: "app thread's heap, total, MB", of: ({ heapTotal }) => heapTotal / MB },
  { name: 'resident size, MB', of: ({ rss }) => rss / MB },
];

const COLUMNS = [...SERIES, ...SHOWN];

/** Fraction of the run that fills caches and heaps. */
const WARM_UP = 0.1;
const ROWS = 12;

/** Measures whether memory and lag stay constant on a server at full load for a long time. */
export async function run({ quick, minutes = quick ? 0.25 : 10, frameworks }: BenchOptions): Promise<Report> {
  requireLoadTools();
  installPeers();
  const framework = frameworks[0] ?? 'Fastify 5';
  const seconds = minutes * 60;
  const interval = Math.min(10, seconds / 30);
  const { result: samples, end } = await withServer(framework, 'track-usage', (loaded) =>
    loaded.underLoad(seconds, async (server) => {
      const first = await server.call<Sample>('start-sampling');
      const samples: Sample[] = [];
      for (let at = interval; at <= seconds; at += interval) {
        // Relative to the start, so that a late sample does not delay the next one.
        await sleep(Math.max(0, first.time + at * 1000 - (samples.at(-1) ?? first).time));
        samples.push(await server.call<Sample>('sample'));
        progress(`soak: ${framework}, ${integer(at)} of ${integer(seconds)} s`);
      }
      return samples;
    }),
  );
  const warm = samples.slice(Math.ceil(samples.length * WARM_UP));
  const third = Math.floor(warm.length / 3);
  const [first, last] = [warm.slice(0, third), warm.slice(-third)];
  const rising = SERIES.filter(({ of, by = median, slack }) => {
    const before = by(first.map(of));
    return by(last.map(of)) > before * (1 + RISE) + slack;
  });
  const [begin, finish] = [warm[0]!, warm.at(-1)!];
  const rate = ((finish.handled - begin.handled) / (finish.time - begin.time)) * 1000;
  return {
    title: 'Soak',
    method:
      `${framework} with track-usage and SQLite, ${minutes} minutes at full load: ${integer(end.handled)} requests, ` +
      `${integer(rate)} per second. One sample every ${interval} s. The first tenth is warm-up; the table shows medians of ` +
      'the first and the last third, and the maximum. For the used heap it shows the minimum of a third, because the ' +
      'rest is garbage not yet collected. The total heap and the resident size do not affect the verdict. ' +
      `${end.catchUp.toFixed(1)} s after the last request, all were stored, each exactly once.`,
    tables: [
      { title: 'First third and last third', text: thirdsOf(first, last, warm) },
      { title: 'Over time', text: timeline(samples) },
    ],
    verdict:
      rising.length === 0
        ? 'Flat: neither memory nor lag is higher in the last third than in the first.'
        : `Not flat: ${rising.map(({ name }) => name).join('; ')}.`,
    data: { framework, minutes, samples, end },
  };
}

function thirdsOf(first: Sample[], last: Sample[], all: Sample[]): string {
  return table(
    ['', 'first third', 'last third', 'maximum'],
    COLUMNS.map(({ name, of, by = median }) => [
      name,
      ...[by(first.map(of)), by(last.map(of)), Math.max(...all.map(of))].map(decimals(1)),
    ]),
  );
}

function timeline(samples: readonly Sample[]): string {
  const step = Math.ceil(samples.length / ROWS);
  const shown = samples.filter((_, i) => (i + 1) % step === 0);
  const began = samples[0]!.time;
  return table(
    ['time, s', ...COLUMNS.map(({ name }) => name)],
    shown.map((sample) => [
      integer((sample.time - began) / 1000),
      ...COLUMNS.map(({ of }) => decimals(1)(of(sample))),
    ]),
  );
}
