import type { LeaseRequest } from '../../storage/contract.ts';
import { literal, type Statements } from './client.ts';
import type { Tables } from './table-names.ts';

interface Generation {
  generation: number;
  holder: string;
  /** End of the lease, in ms since 1970. */
  until: number;
  /** Time of the server, in ms since 1970. */
  now: number;
}

/**
 * Requests a lease. ClickHouse has no transactions, but stores an insert with a deduplication token only once. So each
 * request inserts the generation after the last one under a token of its own: of several processes that request it at
 * the same time, the server stores the row of one. All read which one it is.
 *
 * Ends by the server's clock. The clocks of a cluster's servers must agree. A process that is suspended beyond the end
 * of its lease does not notice it, so every task must be idempotent.
 */
export async function requestLease(
  statements: Statements,
  tables: Tables,
  site: string,
  replicated: boolean,
  { task, holder, ms }: LeaseRequest,
): Promise<boolean> {
  const last = () => lastGeneration(statements, tables, site, task);
  const insert = async (generation: number, now: number) => {
    const settings = [
      'async_insert = 0',
      'insert_deduplicate = 1',
      `insert_deduplication_token = ${literal(`${site}:${task}:${generation}`)}`,
      ...(tables.cluster === undefined ? [] : ['insert_shard_id = 1']),
    ];
    const values = [literal(site), literal(task), generation, literal(holder), now + ms];
    await statements.run(
      `INSERT INTO ${tables.leases} (site, task, generation, holder, until) SETTINGS ${settings.join(', ')}
       VALUES (${values.join(', ')})`,
    );
  };
  let { generation, ...lease } = await last();
  if (lease.until > lease.now && lease.holder !== holder) return false;
  for (;;) {
    generation += 1;
    await insert(generation, lease.now);
    const stored = await last();
    if (stored.generation >= generation) return stored.holder === holder && stored.generation === generation;
    // A replica has not received the row yet, or a server that was killed kept only the token.
    if (replicated) return false;
    lease = stored;
  }
}

async function lastGeneration(
  statements: Statements,
  tables: Tables,
  site: string,
  task: string,
): Promise<Generation> {
  const [row] = await statements.rows<Record<keyof Generation, string | number>>(
    `SELECT max(l.generation) AS generation, argMax(l.holder, l.generation) AS holder,
       argMax(l.until, l.generation) AS until, toUnixTimestamp64Milli(now64(3)) AS now
     FROM ${tables.leases} AS l WHERE site = ${literal(site)} AND task = ${literal(task)}`,
  );
  return {
    generation: Number(row?.generation),
    holder: String(row?.holder),
    until: Number(row?.until),
    now: Number(row?.now),
  };
}
