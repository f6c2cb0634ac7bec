import type { PoolConfig } from 'pg';
import { loadDriver } from '../../storage/load-driver.ts';
import type { PostgresConfig } from './location.ts';
import { type PostgresLocation, Session } from './session.ts';

/** Connection timeout. In ms. */
const CONNECT_TIMEOUT = 10_000;

/** Creates a connection pool. It connects when it is used, and again after each lost connection. */
export async function connect(
  config: PostgresConfig,
  location: PostgresLocation,
  connections: number,
): Promise<Session> {
  const { Pool } = (await loadDriver('PostgresStorage', 'pg', () => import('pg'))).default;
  const pool = new Pool({
    application_name: 'track-usage',
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    keepAlive: true,
    ...(config as PoolConfig),
    max: connections,
    // An idle connection does not keep the process running.
    allowExitOnIdle: true,
  });
  // After an idle connection is lost, the next statement gets another one.
  pool.on('error', () => {});
  let ended: Promise<void> | undefined;
  return new Session(pool, location, () => {
    ended ??= pool.end();
    return ended;
  });
}
