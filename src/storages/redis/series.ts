import type { Server } from './client.ts';
import type { Keys, SeriesKeys } from './keys.ts';

/** Bucket of a series. It may be empty: not filled yet, or expired. */
export interface Bucket {
  ms: number;
  date: string;
}

/** Returns the names of a site's series. */
export async function seriesNames(server: Server, keys: Keys, site: string): Promise<string[]> {
  const key = keys.series(site);
  // The response is an array, or in protocol version 3 possibly a set.
  const names = (await server.send(key, ['SMEMBERS', key])) as Iterable<unknown>;
  return [...names].map(String);
}

/** Returns the buckets of a series, oldest first. The bounds are scores in ms. */
export async function bucketsOf(
  server: Server,
  { buckets }: SeriesKeys,
  from: string,
  to: string,
): Promise<Bucket[]> {
  const dates = (await server.send(buckets, ['ZRANGE', buckets, from, to, 'BYSCORE'])) as unknown[];
  return dates.map(String).map((date) => ({ ms: Date.parse(date), date }));
}
