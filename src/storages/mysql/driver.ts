import type { PoolOptions } from 'mysql2';
import { loadDriver } from '../../storage/load-driver.ts';
import type { MysqlConfig } from './location.ts';
import { type MysqlLocation, Session } from './session.ts';

/** Connection timeout. In ms. */
const CONNECT_TIMEOUT = 10_000;

/** Creates a connection pool. It connects when it is used, and again after each lost connection. */
export async function connect(
  config: MysqlConfig,
  location: MysqlLocation,
  connections: number,
): Promise<Session> {
  const { createPool } = (await loadDriver('MysqlStorage', 'mysql2', () => import('mysql2'))).default;
  const { database: _, ...server } = config as PoolOptions;
  const options: PoolOptions = {
    connectTimeout: CONNECT_TIMEOUT,
    ...server,
    waitForConnections: true,
    queueLimit: 0,
    connectionLimit: connections,
    maxIdle: connections,
  };
  const pool = createPool({ ...options, database: location.database });
  // After an idle connection is lost, the next statement gets another one.
  pool.on('connection', (connection) => connection.on('error', () => {}));
  // An idle connection does not keep the process running.
  pool.on('release', (connection) => streamOf(connection).unref?.());
  pool.on('acquire', (connection) => streamOf(connection).ref?.());
  let ended: Promise<void> | undefined;
  return new Session(pool, location, {
    async createDatabase() {
      const pool = createPool(options).promise();
      try {
        const name = `\`${location.database.replaceAll('`', '``')}\``;
        await pool.query(`CREATE DATABASE IF NOT EXISTS ${name} CHARACTER SET utf8mb4`);
      } finally {
        await pool.end();
      }
    },
    close() {
      ended ??= pool.promise().end();
      return ended;
    },
  });
}

function streamOf(connection: unknown): { ref?(): void; unref?(): void } {
  return (connection as { stream?: { ref?(): void; unref?(): void } }).stream ?? {};
}
