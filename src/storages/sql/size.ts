import type { PartSize, StorageSize } from '../../storage/contract.ts';
import type { Part } from '../../storage/retention.ts';
import type { Row } from './dialect.ts';

/** Tables of the rows that records and sums share. */
const SHARED = ['strings', 'agents', 'endpoints'];

/**
 * Returns the size of a storage.
 * @param rows The size of each table: `name`, `rows`, `bytes`, `indexes`.
 * @param tables Table of each part.
 * @param free Free space within the files, in bytes.
 */
export function sizeOf(
  rows: readonly Row[],
  tables: Readonly<Record<Part, string>>,
  free: number | null,
): StorageSize {
  const sizeOfTables = (names: readonly string[] | undefined): PartSize => {
    const size = { rows: 0, bytes: 0, indexes: 0 };
    for (const row of rows) {
      if (names && !names.includes(String(row.name))) continue;
      size.rows += Number(row.rows);
      size.bytes += Number(row.bytes);
      size.indexes += Number(row.indexes);
    }
    return size;
  };
  const part = (name: Part) => sizeOfTables([tables[name]]);
  const total = sizeOfTables(undefined);
  return {
    records: part('records'),
    hour: part('hour'),
    day: part('day'),
    month: part('month'),
    texts: sizeOfTables(SHARED),
    free,
    // Engines count free space neither as data nor as indexes.
    total: (total.bytes ?? 0) + (total.indexes ?? 0) + (free ?? 0),
  };
}
