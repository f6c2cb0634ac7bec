import type { Keys, KeysRequest } from '../../storage/contract.ts';
import { MEASURES, measuresOf } from '../../storage/measures.ts';
import type { Dialect } from './dialect.ts';

/** Limit that is larger than any number of rows. */
export const ALL = 2n ** 62n;

/**
 * Returns the requested page of keys and the total of all keys. Both come from one statement, so that they
 * are consistent. Unless keys are searched, only candidates for the page have their texts looked up.
 * @param sums Selects a row for each key `k` and its measures.
 * @param kind Type of `k`: the ID of a text (0 for null), or a text as bytes.
 */
export async function queryPage(
  dialect: Dialect,
  sums: string,
  kind: 'ids' | 'texts',
  { order, search, limit, offset }: Pick<KeysRequest, 'order' | 'search' | 'limit' | 'offset'>,
): Promise<Keys> {
  const { query, table, bytes, unbytes, contains, real } = dialect;
  const strings = `${table('strings')} strings ON strings.id = f.k`;
  const rank = (alias: string) =>
    order === 'average' ? `${real(`${alias}.duration`)} / ${alias}.hits` : `${alias}.${order}`;
  const [join, key, sorted] =
    kind === 'ids'
      ? [`LEFT JOIN ${strings}`, 'strings.text', bytes('strings.text')]
      : ['', unbytes('f.k'), 'f.k'];
  const found =
    search === undefined
      ? sums
      : `SELECT f.* FROM (${sums}) f ${kind === 'ids' ? `${dialect.join} ${strings}` : ''}
         WHERE ${contains(key, search)}`;
  // The last row of the page. The measures alone determine whether a key ranks below it or ties with it.
  const last = `SELECT ${rank('f')} AS rank, f.hits FROM found f
    ORDER BY rank DESC, f.hits DESC LIMIT 1 OFFSET ${offset + limit - 1}`;
  const before =
    limit === 0
      ? ''
      : `LEFT JOIN (${last}) z ON 1 = 1
         WHERE z.hits IS NULL OR ${rank('f')} > z.rank OR (${rank('f')} = z.rank AND f.hits >= z.hits)`;
  const rows = await query(`
    WITH found AS ${dialect.once ?? ''} (${found})
    SELECT ${dialect.hint ?? ''} p.*, a.* FROM (
      SELECT COUNT(*) AS all_keys, ${MEASURES.map((name) => `SUM(f.${name}) AS all_${name}`).join(', ')} FROM found f
    ) a LEFT JOIN (
      SELECT ${key} AS text, ${sorted} AS sorted, ${rank('f')} AS rank, 1 AS present,
        ${MEASURES.map((name) => `f.${name}`).join(', ')}
      FROM found f ${join} ${before}
      ORDER BY rank DESC, f.hits DESC, ${sorted} IS NULL, ${sorted}
      LIMIT ${limit === 0 ? ALL : limit} OFFSET ${offset}
    ) p ON 1 = 1
    ORDER BY p.rank DESC, p.hits DESC, p.sorted IS NULL, p.sorted`);
  const [first] = rows;
  const all = Object.fromEntries(MEASURES.map((name) => [name, first?.[`all_${name}`]]));
  return {
    rows: rows
      .filter(({ present }) => present !== null)
      .map((row) => ({ key: (row.text ?? null) as string | null, ...measuresOf(row) })),
    count: Number(first?.all_keys ?? 0),
    total: measuresOf(all),
  };
}
