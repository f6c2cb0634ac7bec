import type { PartSize, StorageSize } from '../../storage/contract.ts';
import { unknownSize } from '../../storage/size.ts';
import { run, type Server } from './client.ts';
import { type Keys, partsOfSeries } from './keys.ts';
import { SIZE } from './maintenance-scripts.ts';
import { bucketsOf, seriesNames } from './series.ts';

/** Number of buckets measured per call. */
const BUCKETS = 200;
/** Number of series measured concurrently. */
const CONCURRENT = 20;

/** Measures all sites. The numbers of bytes are estimates, because Redis samples the elements of a key. */
export async function sizeOf(server: Server, keys: Keys): Promise<StorageSize> {
  const nothing = (): PartSize => ({ rows: 0, bytes: 0, indexes: 0 });
  // Records and sums share no texts.
  const size = {
    ...unknownSize(),
    records: nothing(),
    hour: nothing(),
    day: nothing(),
    month: nothing(),
    texts: nothing(),
  };
  const addSeries = async (site: string, name: string) => {
    const part = size[partsOfSeries(name).period];
    const series = keys.of(site, name);
    const buckets = await bucketsOf(server, series, '-inf', '+inf');
    for (let i = 0; i < buckets.length; i += BUCKETS) {
      const piece = buckets
        .slice(i, i + BUCKETS)
        .flatMap(({ date }) => [series.sums(date), series.tops(date)]);
      // The list of buckets is counted once.
      add(part, await measured(server, [i === 0 ? series.buckets : series.reserved, ...piece]));
    }
  };
  const sites = (await server.send(keys.sites, ['HKEYS', keys.sites])) as unknown[];
  for (const site of sites.map(String)) {
    const names = await seriesNames(server, keys, site);
    for (let i = 0; i < names.length; i += CONCURRENT) {
      await Promise.all(names.slice(i, i + CONCURRENT).map((name) => addSeries(site, name)));
    }
    const { stream, late } = keys.records(site);
    const [, , bytes] = await measured(server, [stream]);
    const [, , indexes] = await measured(server, [late]);
    add(size.records, [Number(await server.send(stream, ['XLEN', stream])), bytes, indexes]);
  }
  const parts = [size.records, size.hour, size.day, size.month].flatMap(({ bytes, indexes }) => [
    bytes,
    indexes,
  ]);
  return {
    ...size,
    total: parts.includes(null) ? null : parts.reduce<number>((sum, bytes) => sum + bytes!, 0),
  };
}

/** Returns the rows, bytes and bytes of indexes of some keys in one slot. Bytes are -1 if they are unknown. */
async function measured(
  server: Server,
  keys: string[],
): Promise<[rows: number, bytes: number, indexes: number]> {
  const found = (await run(server, SIZE, keys, [])) as unknown[];
  return found.map(Number) as [number, number, number];
}

function add(part: PartSize, [rows, bytes, indexes]: [number, number, number]): void {
  part.rows = part.rows! + rows;
  part.bytes = part.bytes === null || bytes < 0 ? null : part.bytes + bytes;
  part.indexes = part.indexes === null || indexes < 0 ? null : part.indexes + indexes;
}
