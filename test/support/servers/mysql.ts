import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programOf } from '../services.ts';
import { giveTo, ServerProcess, serverUser } from './process.ts';

/** With what URLs have to escape. */
export const MYSQL_PASSWORD = 'p@ss/w:rd %41';
const USER = 'tracker';

export interface MysqlServer {
  /** The URL of a database there, `test` where none is named. */
  url(database?: string): string;
  /** Ends it, and removes what it stored. */
  close(): Promise<void>;
}

/** Starts MariaDB on 127.0.0.1, with the database `test` and a user who may do everything. */
export async function mysqlServer(): Promise<MysqlServer> {
  const program = programOf('mariadb');
  if (!program) throw new Error('mariadbd is not installed: npm run services');
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-mysql-'));
  const user = serverUser();
  giveTo(user, directory);
  const data = join(directory, 'data');
  execFileSync(
    'mariadb-install-db',
    ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=socket', '--skip-test-db'],
    { stdio: ['ignore', 'ignore', 'inherit'], ...user },
  );
  const init = join(directory, 'init.sql');
  writeFileSync(
    init,
    `CREATE DATABASE IF NOT EXISTS test;
     CREATE USER IF NOT EXISTS ${USER} IDENTIFIED BY '${MYSQL_PASSWORD}';
     GRANT ALL ON *.* TO ${USER} WITH GRANT OPTION;`,
  );
  const server = await ServerProcess.start((port) => ({
    program,
    args: [
      ...['--no-defaults', `--datadir=${data}`, `--init-file=${init}`, `--port=${port}`],
      ...[
        `--socket=${join(directory, 'socket')}`,
        '--bind-address=127.0.0.1',
        '--skip-log-bin',
        '--innodb-flush-log-at-trx-commit=0',
      ],
    ],
    ready: /ready for connections/,
  }));
  const own = `mysql://${USER}:${encodeURIComponent(MYSQL_PASSWORD)}@127.0.0.1:${server.port}`;
  return {
    url: (database = 'test') => `${own}/${database}`,
    async close() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}
