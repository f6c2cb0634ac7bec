import { CachedSums } from './cached-sums.ts';
import type { StorageReader } from './contract.ts';
import { RecordFolds } from './fold-records.ts';
import { FoldedSums } from './fold-sums.ts';
import { recountIn } from './recount.ts';
import { foundRows, scannedRows } from './search-records.ts';
import { unknownSize } from './size.ts';

/** A reading end that supports every query. */
export type CompleteReader = Required<Omit<StorageReader, 'isReplaced'>>;

/** Names of the `CompleteReader` methods that are queries. */
export const QUERIES = [
  'timeZone',
  'summaries',
  'sums',
  'usage',
  'scan',
  'retention',
  'recount',
  'size',
  'hasText',
  'position',
  'keys',
  'total',
  'series',
  'matchingKeys',
  'matchingSeries',
  'matchingRecords',
] as const satisfies readonly (keyof CompleteReader)[];
export type QueryName = (typeof QUERIES)[number];

/** Adds the queries that an engine does not implement. */
export function complete(reader: StorageReader): CompleteReader {
  const sums = new FoldedSums(reader);
  const folded = new CachedSums(sums, (site) => reader.timeZone(site));
  const filtered = new RecordFolds((request, columns) =>
    // A record has neither the key nor the stored path.
    columns.includes('url_key') || columns.includes('path')
      ? scannedRows((page) => reader.scan(page), request)
      : foundRows((page) => reader.matchingRecords(page), request),
  );
  const completed: CompleteReader = {
    timeZone: (site) => reader.timeZone(site),
    summaries: (site) => reader.summaries(site),
    sums: (request) => reader.sums(request),
    usage: (request) => reader.usage(request),
    scan: (request) => reader.scan(request),
    retention: async (site) => (await reader.retention?.(site)) ?? {},
    // Without the cache, whose results may be older than sums that another program changed.
    recount: (request) =>
      reader.recount?.(request) ??
      recountIn({ ...completed, keys: (keys) => reader.keys?.(keys) ?? sums.keys(keys) }, request),
    size: async () => (await reader.size?.()) ?? unknownSize(),
    hasText: async (search) => (await reader.hasText?.(search)) ?? true,
    position: async (request) => (reader.position ? reader.position(request) : null),
    keys: (request) => reader.keys?.(request) ?? folded.keys(request),
    total: (request) => reader.total?.(request) ?? folded.total(request),
    series: (request) => reader.series?.(request) ?? folded.series(request),
    matchingKeys: (request) => reader.matchingKeys?.(request) ?? filtered.matchingKeys(request),
    matchingSeries: (request) => reader.matchingSeries?.(request) ?? filtered.matchingSeries(request),
    matchingRecords: (request) => reader.matchingRecords(request),
    close: () => reader.close(),
  };
  return completed;
}

/** Creates a reading end that forwards its queries. */
export function forwardingReader(
  query: (method: QueryName, argument: unknown) => Promise<unknown>,
  close: () => Promise<void>,
): CompleteReader {
  const queries = QUERIES.map((method) => [method, (argument: unknown) => query(method, argument)]);
  return { ...Object.fromEntries(queries), close } as CompleteReader;
}
