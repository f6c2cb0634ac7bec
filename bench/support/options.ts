import type { Framework } from '../servers/variant.ts';

/** Command-line options of every benchmark. */
export interface BenchOptions {
  /** Uses short windows, as a smoke test without meaningful results. */
  quick: boolean;
  /** Number of repetitions of each measurement. `undefined` for the benchmark's default. */
  rounds: number | undefined;
  /** Frameworks to measure; empty for the benchmark's default. */
  frameworks: readonly Framework[];
  /** Duration of the soak or the outage, in minutes. `undefined` for the benchmark's default. */
  minutes: number | undefined;
  /** Storage to measure, in benchmarks of storages. `undefined` for all. */
  storage: string | undefined;
}

/** Result of a benchmark: tables, and the figures behind them. */
export interface Report {
  title: string;
  /** Description of the method, in a sentence or two. */
  method: string;
  tables: { title: string; text: string }[];
  /** Single table with a summary. */
  short?: string;
  /** Few rows of it, for the README. */
  readme?: string;
  /** Sentence that tells whether the result is as expected. */
  verdict?: string;
  data: unknown;
}

export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
