import type { PoolConfig } from 'pg';
import { loadDriver } from '../load-driver.ts';
import type { PostgresConfig } from './place.ts';
import { type PostgresPlace, Session } from './session.ts';

/** How long connecting may take. In ms. */
const CONNECT_TIMEOUT = 10_000;

/** A pool of our own. It connects when it is used, and again after each loss. */
export async function connect(
  config: PostgresConfig,
  place: PostgresPlace,
  connections: number,
): Promise<Session> {
  const { Pool } = (await loadDriver('PostgresStorage', 'pg', () => import('pg'))).default;
  const pool = new Pool({
    application_name: 'track-usage',
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    keepAlive: true,
    ...(config as PoolConfig),
    max: connections,
    // An idle connection keeps no process.
    allowExitOnIdle: true,
  });
  // A connection that is lost while idle: the next statement gets another.
  pool.on('error', () => {});
  let ended: Promise<void> | undefined;
  return new Session(pool, place, () => {
    ended ??= pool.end();
    return ended;
  });
}
