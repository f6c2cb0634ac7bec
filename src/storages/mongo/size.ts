import type { PartSize, StorageSize } from '../../storage/contract.ts';
import type { Period } from '../../summaries/periods.ts';
import type { Collections } from './collections.ts';

/** Size of some collections. In bytes. */
type Size = { [figure in keyof PartSize]: number } & { free: number };

/** Returns the size of a storage, from the statistics of the server. */
export async function sizeOf(collections: Collections): Promise<StorageSize> {
  const { records, schema, sites, journals, slots, visitorKeys, keyCounts, emptied, corrections } =
    collections;
  const summaries = await collections.summaries();
  const ofPeriod = (period: Period) =>
    sizeOfAll(
      collections,
      summaries.map((summary) => collections.sums(summary, period).collectionName),
    );
  const other = [schema, sites, journals, slots, visitorKeys, keyCounts, emptied, corrections].map(
    (each) => each.collectionName,
  );
  const sizes = {
    records: await sizeOfAll(collections, [records.collectionName]),
    hour: await ofPeriod('hour'),
    day: await ofPeriod('day'),
    month: await ofPeriod('month'),
  };
  const all = [...Object.values(sizes), await sizeOfAll(collections, other)];
  const part = ({ rows, bytes, indexes }: Size): PartSize => ({ rows, bytes, indexes });
  return {
    records: part(sizes.records),
    hour: part(sizes.hour),
    day: part(sizes.day),
    month: part(sizes.month),
    // Each document contains its texts.
    texts: { rows: 0, bytes: 0, indexes: 0 },
    free: all.reduce((sum, { free }) => sum + free, 0),
    total: all.reduce((sum, { bytes, indexes }) => sum + bytes + indexes, 0),
  };
}

async function sizeOfAll(collections: Collections, names: readonly string[]): Promise<Size> {
  const total: Size = { rows: 0, bytes: 0, indexes: 0, free: 0 };
  for (const collStats of names) {
    const found = (await collections.command({ collStats })) as Record<string, number | undefined>;
    total.rows += found.count ?? 0;
    // On disk, compressed. Some servers keep their data in memory.
    total.bytes += found.storageSize || (found.size ?? 0);
    total.indexes += found.totalIndexSize ?? 0;
    total.free += found.freeStorageSize ?? 0;
  }
  return total;
}
