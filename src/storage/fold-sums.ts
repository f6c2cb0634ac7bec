import { compareKeys } from './compare-keys.ts';
import type {
  KeyRow,
  Keys,
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
import { addMeasures, noMeasures, onlyMeasures } from './measures.ts';

type Sums = Pick<StorageReader, 'sums'>;

/** Implements `keys` for an engine that only returns rows of sums. */
export async function foldKeys(reader: Sums, request: KeysRequest): Promise<Keys> {
  const keys = new Map<string | null, KeyRow>();
  for (const row of await rowsOf(reader, request, undefined)) addTo(keys, row);
  return pageOfKeys([...keys.values()], request);
}

/** Implements `total` for an engine that only returns rows of sums. */
export async function foldTotal(reader: Sums, request: TotalRequest): Promise<Total> {
  return totalOf(await rowsOf(reader, request, request.target));
}

/** Implements `series` for an engine that only returns rows of sums. */
export async function foldSeries(reader: Sums, request: SeriesRequest): Promise<SeriesRow[]> {
  const buckets = new Map<number, SumRow[]>();
  for (const row of await reader.sums({ ...request, limit: 0, offset: 0 })) {
    const rows = buckets.get(row.bucket);
    if (rows) rows.push(row);
    else buckets.set(row.bucket, [row]);
  }
  return [...buckets]
    .sort(([a], [b]) => a - b)
    .map(([bucket, rows]): SeriesRow => ({ bucket, ...totalOf(rows) }));
}

/** Adds a row to the row of its key. */
export function addTo(keys: Map<string | null, KeyRow>, { key, ...measures }: KeyRow): void {
  const row = keys.get(key);
  if (row) addMeasures(row, measures);
  else keys.set(key, { key, ...onlyMeasures(measures) });
}

/** Returns the requested page. Rows may be in any order, and each has a distinct key. */
export function pageOfKeys(
  found: readonly KeyRow[],
  { search, order, limit, offset }: Pick<KeysRequest, 'search' | 'order' | 'limit' | 'offset'>,
): Keys {
  const part = search === undefined ? undefined : foldCase(search);
  const matching =
    part === undefined ? found : found.filter(({ key }) => key !== null && foldCase(key).includes(part));
  const sorted = [...matching].sort(
    (a, b) => rank(b, order) - rank(a, order) || b.hits - a.hits || compareKeys(a.key, b.key),
  );
  const total = noMeasures();
  for (const row of matching) addMeasures(total, row);
  return {
    rows: sorted.slice(offset, limit === 0 ? undefined : offset + limit),
    count: matching.length,
    total,
  };
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

async function rowsOf(
  reader: Sums,
  { site, summary, spans }: { site: string; summary: string; spans: readonly Span[] },
  target: string | null | undefined,
): Promise<SumRow[]> {
  const pieces = await Promise.all(
    spans.map((span) => reader.sums({ site, summary, ...span, target, limit: 0, offset: 0 })),
  );
  return pieces.flat();
}
