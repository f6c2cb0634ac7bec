import type { PartSize, StorageSize } from '../../storage/contract.ts';
import type { Period } from '../../summaries/periods.ts';
import { literal, type Statements } from './client.ts';
import { type Tables, unqualified } from './table-names.ts';
import { JOURNAL_PERIOD, TABLES } from './tables.ts';

/** Returns the size of the tables. That of each period is estimated by its share of the rows of the sums. */
export async function sizeOf(statements: Statements, tables: Tables): Promise<StorageSize> {
  const { cluster, database, sums } = tables;
  const parts = cluster === undefined ? 'system.parts' : `cluster(${literal(cluster)}, system.parts)`;
  const names = TABLES.map((table) => literal(unqualified(table, tables)));
  const found = await statements.rows<Record<string, string | number>>(
    `SELECT table, sum(rows) AS stored, sum(data_compressed_bytes) AS bytes,
       sum(bytes_on_disk) - sum(data_compressed_bytes) AS indexes FROM ${parts}
     WHERE active AND database = ${literal(database)} AND table IN (${names.join(', ')}) GROUP BY table`,
  );
  const sizes = new Map(
    found.map(({ table, stored, bytes, indexes }) => [
      String(table),
      { rows: Number(stored), bytes: Number(bytes), indexes: Number(indexes) },
    ]),
  );
  const none = { rows: 0, bytes: 0, indexes: 0 };
  const ofSums = sizes.get(unqualified('usage_sums', tables)) ?? none;
  const periods = await statements.limited<{ period: string; stored: string | number }>(
    `SELECT period, count() AS stored FROM ${sums} WHERE period != ${literal(JOURNAL_PERIOD)} GROUP BY period`,
  );
  const sizeOfPeriod = (period: Period): PartSize => {
    const rows = Number(periods.find((row) => row.period === period)?.stored ?? 0);
    const share = ofSums.rows === 0 ? 0 : rows / ofSums.rows;
    return { rows, bytes: Math.round(ofSums.bytes * share), indexes: Math.round(ofSums.indexes * share) };
  };
  return {
    records: sizes.get(unqualified('usage_records', tables)) ?? none,
    hour: sizeOfPeriod('hour'),
    day: sizeOfPeriod('day'),
    month: sizeOfPeriod('month'),
    // Each row has its own texts.
    texts: none,
    free: null,
    total: [...sizes.values()].reduce((sum, { bytes, indexes }) => sum + bytes + indexes, 0),
  };
}
