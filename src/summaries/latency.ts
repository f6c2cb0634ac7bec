/**
 * Counts of durations in logarithmic bins, from which percentiles are computed.
 *
 * The bins are those of DDSketch with a relative accuracy of 2.17 % (Masson, Rim, Lee: "DDSketch: A Fast and
 * Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019): bin `i` counts the durations in
 * (γ^(i-1), γ^i]. With γ = 2^(1/16), these are also the buckets of a Prometheus native histogram with schema 4 and of an
 * OpenTelemetry exponential histogram with scale 4, in µs. Counts are added up, so the bins of any hours, days, keys and
 * processes are those of all their requests together.
 */

import type { Summary } from './define.ts';

/** Number of bins in which a duration doubles. */
const BINS_PER_DOUBLING = 16;
/** Ratio of a bin's bounds. */
const GAMMA = 2 ** (1 / BINS_PER_DOUBLING);
/** Last bin. Longer durations, of more than 285 years, are counted in it. */
const LAST_BIN = 1 + BINS_PER_DOUBLING * 53;
/** Upper bound of the number of bins. */
export const MAX_BINS = LAST_BIN + 1;
/** Digits of a percentile. Rounding adds up to 0.05 % to its error. */
const DIGITS = 4;
/** End of a companion's name. No other summary's name contains the character `|`. */
const SUFFIX = '|latency';
const SEPARATOR = '|';

/** Percentiles in results. */
export const PERCENTILES = ['p50', 'p75', 'p90', 'p95', 'p99'] as const;
/** Name of a percentile. @useDeclaredType */
export type Percentile = (typeof PERCENTILES)[number];

/** Returns the bin of a duration in µs. Bin 0 counts durations below 1 µs. */
export function binOf(duration: number): number {
  if (!(duration >= 1)) return 0;
  return Math.min(1 + Math.ceil(BINS_PER_DOUBLING * Math.log2(duration)), LAST_BIN);
}

/** Returns the duration that stands for a bin, in µs. It differs by at most 2.17 % from each duration in the bin. */
export function durationOf(bin: number): number {
  return bin === 0 ? 0 : (2 * GAMMA ** (bin - 1)) / (GAMMA + 1);
}

/** Returns the name of the summary that counts the durations of another one. */
export function companionName(summary: string): string {
  return `${summary}${SUFFIX}`;
}

/** Returns the name of the summary whose durations a companion counts, or `undefined` for any other summary. */
export function companionBase(name: string): string | undefined {
  return name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : undefined;
}

/**
 * Returns the companion of a summary. It has the same keys, each divided by bins, and counts only hits.
 */
export function companionOf({ latency: _, ...summary }: Summary): Summary {
  const name = companionName(summary.name);
  return { ...summary, name, title: name };
}

/** Returns the summaries, each with its companion if it has one. */
export function withCompanions(summaries: readonly Summary[]): Summary[] {
  return summaries.flatMap((summary) => (summary.latency ? [summary, companionOf(summary)] : [summary]));
}

/** Returns a companion's key. It is `<bin>` for the key `null`, and `<bin>|` for `OTHERS`. */
export function latencyKey(bin: number | string, key: string | null): string {
  return key === null ? `${bin}` : `${bin}${SEPARATOR}${key}`;
}

/** Bin and key in a companion's key. */
export interface LatencyKey {
  /** Number of the bin, as text. */
  bin: string;
  /** Key in the summary. */
  key: string | null;
}

/** Returns the parts of a companion's key. */
export function partsOfLatencyKey(text: string): LatencyKey {
  const mark = text.indexOf(SEPARATOR);
  return mark < 0 ? { bin: text, key: null } : { bin: text.slice(0, mark), key: text.slice(mark + 1) };
}

/** Number of requests in each bin. */
export class LatencyBins {
  readonly #counts = new Map<number, number>();
  #hits = 0;

  /** Number of requests in all bins. */
  get hits(): number {
    return this.#hits;
  }

  /** Adds requests to a bin. */
  add(bin: number, hits: number): void {
    this.#counts.set(bin, (this.#counts.get(bin) ?? 0) + hits);
    this.#hits += hits;
  }

  /**
   * Returns percentiles in µs, each within 2.5 % of the exact value: of the shortest duration that at least that share of
   * the requests did not exceed (nearest rank).
   */
  percentiles(): Record<Percentile, number> {
    const bins = [...this.#counts].sort(([a], [b]) => a - b);
    const found = {} as Record<Percentile, number>;
    let [next, reached] = [0, 0];
    for (const name of PERCENTILES) {
      const rank = Math.ceil((Number(name.slice(1)) * this.#hits) / 100);
      while (reached < rank && next < bins.length) reached += bins[next++]![1];
      found[name] = Number(durationOf(bins[Math.max(0, next - 1)]![0]).toPrecision(DIGITS));
    }
    return found;
  }

  /** Returns the share of requests that took longer than a threshold in µs, exact for a threshold that differs by up to 2.2 %. */
  above(threshold: number): number {
    let hits = 0;
    for (const [bin, count] of this.#counts) if (durationOf(bin) > threshold) hits += count;
    return hits / this.#hits;
  }
}
