import type { KeepTime, Part, StoredRetention } from '../../storage/retention.ts';
import type { ServerDialect } from './dialect.ts';

/**
 * Returns the stored retention of a site.
 * @param site SQL expression of its ID.
 */
export async function retentionOfSite(
  { query, table }: Pick<ServerDialect, 'query' | 'table'>,
  site: string,
): Promise<StoredRetention> {
  const rows = await query(
    `SELECT t.part, t.keep, t.horizon FROM ${table('retention')} t WHERE t.site = ${site}`,
  );
  const parts = rows.map(({ part, keep, horizon }) => {
    const before = horizon === null ? null : Number(horizon);
    return [part as Part, { keep: keep as KeepTime, before }];
  });
  return Object.fromEntries(parts) as StoredRetention;
}
