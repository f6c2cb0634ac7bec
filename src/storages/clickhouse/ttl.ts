import type { WriterContext } from '../../storage/contract.ts';
import { type KeepTime, LONGEST, PARTS, type Part } from '../../storage/retention.ts';
import { literal, type Statements } from './client.ts';
import { storeRetention } from './retention.ts';
import { engineOf, type Tables } from './table-names.ts';
import { localName, type TableName } from './tables.ts';

const DAY = 24 * 3600;
/**
 * Time after which the engine deletes what `prune` should have deleted: records and hours at the end of their day,
 * days and months at the end of their month. It leaves two days more, in which an app may be stopped. In s.
 */
const MARGINS: Readonly<Record<Part, number>> = {
  records: 4 * DAY,
  hour: 4 * DAY,
  day: 40 * DAY,
  month: 40 * DAY,
};
/** Last second of a `DateTime`. Later ones would wrap around. */
const LAST_SECOND = 2 ** 32 - 1;
/** Time after which the engine deletes the rows of a part of a site. */
export interface Expiry {
  site: string;
  part: Part;
  keep: KeepTime;
}

/**
 * Stores the retention of the context's site, and sets the TTL of both tables to that of all sites. Without one, for
 * example for a copy, the settings of the app stay.
 */
export async function applyTtl(
  statements: Statements,
  tables: Tables,
  { site, retention }: WriterContext,
): Promise<void> {
  if (retention) {
    const kept = PARTS.map((part) => ({ part, keep: retention[part], before: 0 }));
    await storeRetention(statements, tables, site, true, kept);
  }
  const expiries = await statements.rows<Expiry>(
    `SELECT site, part, argMax(r.keep, r.stored) AS keep FROM ${tables.retention} AS r
     WHERE expires = 1 GROUP BY site, part ORDER BY site, part`,
  );
  await setTtl(statements, tables, 'usage_records', ttlOf(expiries, ['records']));
  await setTtl(statements, tables, 'usage_sums', ttlOf(expiries, ['hour', 'day', 'month']));
}

/**
 * Returns the TTL of a table as ClickHouse prints it, so that both can be compared. Empty for none. The journal
 * positions in `usage_sums` have none.
 */
export function ttlOf(expiries: readonly Expiry[], parts: readonly Part[]): string {
  const sites = new Map<string, string[]>();
  for (const { site, part, keep } of expiries) {
    if (!parts.includes(part) || keep === 'forever') continue;
    const [, count, unit] = /^(\d+)([a-z]+)$/.exec(keep) ?? [];
    const date = part === 'records' ? 'toDateTime(date)' : 'bucket';
    const seconds = (Number(count) * LONGEST[unit!]!) / 1000 + MARGINS[part];
    const of = part === 'records' ? '' : `(period = ${literal(part)}) AND `;
    const rule = `toDateTime(least(toUnixTimestamp(${date}) + ${seconds}, ${LAST_SECOND})) WHERE ${of}`;
    const others = sites.get(rule);
    if (others) others.push(literal(site));
    else sites.set(rule, [literal(site)]);
  }
  const rules = [...sites].map(([rule, names]) => {
    const within = `site IN (${names.join(', ')})`;
    return rule.endsWith(' AND ') ? `${rule}(${within})` : rule + within;
  });
  return rules.join(', ');
}

async function setTtl(
  statements: Statements,
  tables: Tables,
  table: TableName,
  wanted: string,
): Promise<void> {
  const found = / TTL (.*) SETTINGS /s.exec(await engineOf(statements, tables, table))?.[1] ?? '';
  if (found === wanted) return;
  const alter = `ALTER TABLE ${localName(table, tables.naming)} ${tables.naming.onCluster}`;
  await statements.run(wanted === '' ? `${alter} REMOVE TTL` : `${alter} MODIFY TTL ${wanted}`);
}
