import { join } from 'node:path';
import { Child } from './support/child.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, spread, table } from './support/figures.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';

const SERVER = join(import.meta.dirname, 'servers', 'instances.ts');
const COUNTS = [0, 1, 2, 25] as const;

/** Resident set sizes of the process, in bytes. */
interface Result {
  stored: number;
  /** Size after a query to each instance, which starts a reader thread for its storage. */
  queried: number;
}

/** Measures the memory of a process with multiple TrackUsage instances. */
export async function run({ quick, rounds = quick ? 1 : 3 }: BenchOptions): Promise<Report> {
  const data: Record<number, Result[]> = {};
  for (let round = 1; round <= rounds; round++) {
    for (const count of COUNTS) {
      progress(`instances: round ${round} of ${rounds}, ${count}`);
      data[count] = [...(data[count] ?? []), await measure(count)];
    }
  }
  return {
    title: 'Multiple instances in one process',
    method:
      'Each instance has a node:http server and a SQLite database with the seven summaries of Flask-Track-Usage. Memory is ' +
      'measured after 200 requests to each server, when all requests are stored and garbage is collected. ' +
      `Rounds: ${rounds}. Median (min–max), MB.`,
    tables: [{ title: 'Resident set size of the process', text: tableOf(data) }],
    data,
  };
}

async function measure(count: number): Promise<Result> {
  const directory = newDirectory();
  const server = new Child(SERVER, { args: [directory, String(count)], flags: ['--expose-gc'] });
  try {
    return { stored: await server.call<number>('stored'), queried: await server.call<number>('queried') };
  } finally {
    await server.stop();
    removeDirectory(directory);
  }
}

function tableOf(data: Record<number, Result[]>): string {
  const megabytes = (results: Result[], of: (result: Result) => number) =>
    spread(
      results.map((result) => of(result) / 1e6),
      decimals(0),
    );
  return table(
    ['instances', 'after storing', 'after querying'],
    Object.entries(data).map(([count, results]) => [
      count,
      megabytes(results, ({ stored }) => stored),
      megabytes(results, ({ queried }) => queried),
    ]),
  );
}
