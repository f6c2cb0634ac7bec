import type { CompleteReader } from '../storage/complete-reader.ts';
import { EVERY_KEY, type Span } from '../storage/contract.ts';
import { companionName, LatencyBins, partsOfLatencyKey } from '../summaries/latency.ts';
import type { Period } from '../summaries/periods.ts';
import { sumRoutes, sumServer } from '../summaries/standard.ts';
import { invalid } from './invalid.ts';
import { orElse } from './or-else.ts';
import type { Latency, LatencyOptions } from './query-types.ts';
import { bucketsOf } from './range.ts';
import { type OneKey, partialBuckets, type ResolvedQuery, totalRequest } from './results.ts';

/** Latency that a query asks for. */
export interface LatencyRequest {
  /** Threshold of `Latency.above` in µs; `undefined` for none. */
  threshold: number | undefined;
}

/** Summaries that count every request once, so that their durations are those of the site. */
const WHOLE = [sumServer.name, sumRoutes.name];

/** Returns the requested latency, or `undefined` if none is requested. */
export function latencyRequest({ latency, threshold }: LatencyOptions): LatencyRequest | undefined {
  if (latency !== undefined && typeof latency !== 'boolean')
    throw invalid('latency', latency, 'true or false');
  if (threshold !== undefined && !(Number.isFinite(threshold) && threshold >= 0)) {
    throw invalid('threshold', threshold, 'a number of µs, at least 0');
  }
  return latency || (latency === undefined && threshold !== undefined) ? { threshold } : undefined;
}

/** Reads the distributions of durations, from the companions of summaries. */
export class LatencyReader {
  readonly #reader: Pick<CompleteReader, 'keys' | 'sums'>;

  constructor(reader: Pick<CompleteReader, 'keys' | 'sums'>) {
    this.#reader = reader;
  }

  /** Returns the latency of all requests in the range. */
  async totals(query: ResolvedQuery, request: LatencyRequest): Promise<Latency | null> {
    for (const summary of isKept(query) ? WHOLE : []) {
      const bins = add(await this.#rows(query, summary));
      if (bins.hits > 0) return latencyOf(bins, request);
    }
    return null;
  }

  /** Returns the latency of keys of a summary, by key. */
  async keys(
    query: ResolvedQuery,
    summary: string,
    request: LatencyRequest,
  ): Promise<Map<string | null, Latency | null>> {
    const found = new Map<string | null, LatencyBins>();
    if (!isKept(query)) return new Map();
    for (const row of await this.#rows(query, summary)) {
      const { key } = partsOf(row);
      const bins = found.get(key) ?? new LatencyBins();
      found.set(key, bins);
      add([row], bins);
    }
    return new Map([...found].map(([key, bins]) => [key, latencyOf(bins, request)]));
  }

  /**
   * Returns the latency of each bucket of the range, oldest first.
   * @param one Summary and key, to select a single key.
   */
  async series(
    query: ResolvedQuery,
    request: LatencyRequest,
    period: Period,
    one: OneKey | undefined,
  ): Promise<(Latency | null)[]> {
    const { site, range } = query;
    const starts = bucketsOf(range, period, query.zone);
    const parts = partialBuckets(query, period, starts);
    const span = { period, from: starts[0] ?? range.start, to: range.end - 1 };
    for (const summary of isKept(query) ? (one ? [one.summary] : WHOLE) : []) {
      const name = companionName(summary);
      const asked = { site, summary: name, ...span, target: undefined, limit: 0, offset: 0 };
      const [rows, ...partial] = await Promise.all([
        orElse(this.#reader.sums(asked), []),
        ...parts.map(({ spans }) => this.#rows(query, summary, spans)),
      ]);
      const isWanted = (row: BinRow) => one === undefined || partsOf(row).key === one.key;
      const found = new Map(
        [...Map.groupBy(rows.filter(isWanted), ({ bucket }) => bucket)].map(([start, of]) => [
          start,
          add(of),
        ]),
      );
      parts.forEach(({ start }, i) => {
        found.set(start, add(partial[i]!.filter(isWanted)));
      });
      const hits = [...found.values()].reduce((sum, bins) => sum + bins.hits, 0);
      const none = new LatencyBins();
      if (hits > 0) return starts.map((start) => latencyOf(found.get(start) ?? none, request));
    }
    return starts.map(() => null);
  }

  async #rows(query: ResolvedQuery, summary: string, spans?: readonly Span[]): Promise<BinRow[]> {
    const request = { ...totalRequest(query), ...(spans && { spans }), summary: companionName(summary) };
    const { rows } = await orElse(this.#reader.keys({ ...request, ...EVERY_KEY }), { rows: [] });
    return rows;
  }
}

interface BinRow {
  key: string | null;
  hits: number;
}

/** Returns whether the distribution of a query's durations is kept: neither that of a filter, nor of bots. */
function isKept({ where, bots }: ResolvedQuery): boolean {
  return where.length === 0 && bots === 'include';
}

function partsOf({ key }: BinRow) {
  return partsOfLatencyKey(key ?? '');
}

function add(rows: readonly BinRow[], bins = new LatencyBins()): LatencyBins {
  for (const row of rows) bins.add(Number(partsOf(row).bin), row.hits);
  return bins;
}

function latencyOf(bins: LatencyBins, { threshold }: LatencyRequest): Latency | null {
  if (bins.hits <= 0) return null;
  const above = threshold === undefined ? null : bins.above(threshold);
  return { hits: bins.hits, ...bins.percentiles(), above };
}
