import type { KeyIdsRequest, SumSource } from './cached-sums.ts';
import { compareKeys } from './compare-keys.ts';
import type {
  KeyRow,
  Keys,
  KeysPage,
  KeysRequest,
  Measures,
  Order,
  SeriesRequest,
  SeriesRow,
  Span,
  StorageReader,
  SumRow,
  Total,
  TotalRequest,
} from './contract.ts';
import { foldCase } from './fold-case.ts';
import type { KeyColumns } from './key-table.ts';
import { addMeasures, noMeasures, onlyMeasures } from './measures.ts';

type Sums = Pick<StorageReader, 'sums'>;

/** The queries on sums of an engine that only returns rows of sums. Keys are their own IDs. */
export class FoldedSums implements SumSource {
  /** Adding up rows is always slower than the cache. */
  readonly fewKeys = 0;
  readonly #reader: Sums;

  constructor(reader: Sums) {
    this.#reader = reader;
  }

  async keys(request: KeysRequest): Promise<Keys> {
    const keys = new Map<string | null, KeyRow>();
    for (const row of await this.#rows(request, request.spans)) addTo(keys, row);
    return pageOfKeys([...keys.values()], request);
  }

  async total(request: TotalRequest): Promise<Total> {
    return totalOf(await this.#rows(request, request.spans, request.target));
  }

  async series(request: SeriesRequest): Promise<SeriesRow[]> {
    const buckets = new Map<number, SumRow[]>();
    for (const row of await this.#reader.sums({ ...request, limit: 0, offset: 0 })) {
      const rows = buckets.get(row.bucket);
      if (rows) rows.push(row);
      else buckets.set(row.bucket, [row]);
    }
    return [...buckets]
      .sort(([a], [b]) => a - b)
      .map(([bucket, rows]): SeriesRow => ({ bucket, ...totalOf(rows) }));
  }

  async ids({ spans, less = [], ...summary }: KeyIdsRequest, most: number): Promise<KeyColumns | undefined> {
    const [added, subtracted] = await Promise.all([this.#rows(summary, spans), this.#rows(summary, less)]);
    const id = [...added, ...subtracted].map(({ key }) => key);
    if (new Set(id).size > most) return undefined;
    const column = (name: keyof Measures): number[] => [
      ...added.map((row) => row[name]),
      ...subtracted.map((row) => -row[name]),
    ];
    return {
      id,
      hits: column('hits'),
      transfer: column('transfer'),
      errors: column('errors'),
      duration: column('duration'),
    };
  }

  /** Returns nothing, because no key has a numeric ID. */
  async texts(): Promise<Map<number, string>> {
    return new Map();
  }

  async #rows(
    { site, summary }: Pick<KeysRequest, 'site' | 'summary'>,
    spans: readonly Span[],
    target?: string | null,
  ): Promise<SumRow[]> {
    const pieces = await Promise.all(
      spans.map((span) => this.#reader.sums({ site, summary, ...span, target, limit: 0, offset: 0 })),
    );
    return pieces.flat();
  }
}

/** Adds a row to the row of its key. */
function addTo(keys: Map<string | null, KeyRow>, { key, ...measures }: KeyRow): void {
  const row = keys.get(key);
  if (row) addMeasures(row, measures);
  else keys.set(key, { key, ...onlyMeasures(measures) });
}

/**
 * Returns the requested page of keys, with their count and total.
 * @param found Sums of all keys, in any order. Each has a distinct key.
 * @param page Search, order and page.
 */
export function pageOfKeys(found: readonly KeyRow[], { search, order, limit, offset }: KeysPage): Keys {
  const part = search === undefined ? undefined : foldCase(search);
  const matching =
    part === undefined ? found : found.filter(({ key }) => key !== null && foldCase(key).includes(part));
  const sorted = [...matching].sort(
    (a, b) => rank(b, order) - rank(a, order) || b.hits - a.hits || compareKeys(a.key, b.key),
  );
  const total = noMeasures();
  for (const row of matching) addMeasures(total, row);
  return {
    rows: pageOf(sorted, limit, offset),
    count: matching.length,
    total,
  };
}

/**
 * Returns a page of a list.
 * @param limit Maximum number of items; 0 for all.
 */
export function pageOf<T>(items: readonly T[], limit: number, offset: number): T[] {
  return items.slice(offset, limit === 0 ? undefined : offset + limit);
}

function rank(row: Measures, order: Order): number {
  return order === 'average' ? row.duration / row.hits : row[order];
}

function totalOf(rows: readonly SumRow[]): Total {
  const total = noMeasures();
  const keys = new Set<string>();
  for (const row of rows) {
    addMeasures(total, row);
    if (row.key !== null) keys.add(row.key);
  }
  return { ...total, keys: keys.size };
}
