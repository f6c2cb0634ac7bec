import type { Framework } from '../servers/variant.ts';

/** What the command line says, for every benchmark. */
export interface BenchOptions {
  /** Short windows: shows that it runs, not what it costs. */
  quick: boolean;
  /** How often each measurement is repeated; `undefined` for the benchmark's own choice. */
  rounds: number | undefined;
  /** Only these; empty for the benchmark's own choice. */
  frameworks: readonly Framework[];
  /** How long the soak, or the outage, lasts; `undefined` for the benchmark's own choice. */
  minutes: number | undefined;
  /** Of the benchmarks of storages: only this one. */
  storage: string | undefined;
}

/** What a benchmark found: tables to read, and the figures behind them. */
export interface Report {
  title: string;
  /** How it was measured, in a sentence or two. */
  method: string;
  tables: { title: string; text: string }[];
  /** The one table for those who read only one. */
  short?: string;
  /** In a sentence, whether it is as it should be. */
  verdict?: string;
  data: unknown;
}

export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
