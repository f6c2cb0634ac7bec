import { randomUUID } from 'node:crypto';
import {
  horizonsOf,
  KEEP_ALL,
  type KeepTime,
  PARTS,
  type Part,
  type StoredRetention,
} from '../../storage/retention.ts';
import { calendar } from '../../summaries/periods.ts';
import { literal, type Statements } from './client.ts';
import type { Tables } from './table-names.ts';

/**
 * Time for which an app may be stopped before the engine deletes data that no process has declared as deleted. In ms.
 * See `MARGINS`.
 */
const STOPPED = 2 * 24 * 3_600_000;

interface Kept {
  part: Part;
  keep: KeepTime;
  /** Start of the kept data in ms since 1970, or 0. */
  before: number;
}

/**
 * Stores the retention of a site, unless it is stored already. The start of the kept data never decreases, because the
 * latest start of all rows counts.
 * @param expires True for the retention that the TTL of the tables applies.
 */
export async function storeRetention(
  statements: Statements,
  tables: Tables,
  site: string,
  expires: boolean,
  kept: readonly Kept[],
): Promise<void> {
  const stored = await rowsOf(statements, tables, site);
  const changed = kept.filter(({ part, keep, before }) => {
    const row = stored.find((each) => each.part === part && each.expires === expires);
    return row?.keep !== keep || row.before < before;
  });
  if (changed.length === 0) return;
  const values = changed.map(
    ({ part, keep, before }) =>
      `(${[site, part].map(literal).join(', ')}, ${Number(expires)}, ${literal(keep)}, ${before})`,
  );
  const shard = tables.cluster === undefined ? '' : ', insert_shard_id = 1';
  // Under a token of its own, because the same start is stored again if it was replaced in between.
  const token = `insert_deduplication_token = ${literal(randomUUID())}`;
  await statements.run(
    `INSERT INTO ${tables.retention} (site, part, expires, keep, before) SETTINGS async_insert = 0, ${token}${shard}
     VALUES ${values.join(', ')}`,
  );
}

/**
 * Returns the retention in force. If no process has pruned the site for days, the engine may have deleted data by
 * itself, and the start of the kept data follows from the server's clock.
 */
export async function storedRetention(
  statements: Statements,
  tables: Tables,
  site: string,
  timeZone: string,
): Promise<StoredRetention> {
  const rows = await rowsOf(statements, tables, site);
  const found: Partial<Record<Part, { keep: KeepTime; before: number | null }>> = {};
  for (const part of PARTS) {
    const [retained, expiring] = [false, true].map((expires) =>
      rows.find((row) => row.part === part && row.expires === expires),
    );
    const { keep } = retained ?? expiring ?? {};
    if (keep === undefined) continue;
    const { [part]: expired = 0 } = expiring
      ? horizonsOf({ ...KEEP_ALL, [part]: expiring.keep }, calendar(timeZone), expiring.now - STOPPED)
      : {};
    found[part] = { keep, before: Math.max(retained?.before ?? 0, expired) || null };
  }
  return found;
}

/** Returns the retention as it was stored, without what the engine may have deleted since. */
export async function retained(
  statements: Statements,
  tables: Tables,
  site: string,
): Promise<StoredRetention> {
  const rows = (await rowsOf(statements, tables, site)).filter(({ expires }) => !expires);
  return Object.fromEntries(rows.map(({ part, keep, before }) => [part, { keep, before: before || null }]));
}

interface StoredRow extends Kept {
  expires: boolean;
  /** Time of the server, in ms since 1970. */
  now: number;
}

async function rowsOf(statements: Statements, tables: Tables, site: string): Promise<StoredRow[]> {
  const rows = await statements.rows<Record<keyof StoredRow, string | number>>(
    `SELECT part, expires, argMax(r.keep, r.stored) AS keep, max(r.before) AS before,
       toUnixTimestamp64Milli(now64(3)) AS now
     FROM ${tables.retention} AS r WHERE site = ${literal(site)} GROUP BY part, expires`,
  );
  return rows.map(({ part, expires, keep, before, now }) => ({
    part: part as Part,
    expires: Number(expires) === 1,
    keep: keep as KeepTime,
    before: Number(before),
    now: Number(now),
  }));
}
