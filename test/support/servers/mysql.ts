import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestServer } from '../../../src/testing/index.ts';
import { programOf } from '../services.ts';
import { giveTo, ServerProcess, serverUser } from './process.ts';

/** With what URLs have to escape. */
export const MYSQL_PASSWORD = 'p@ss/w:rd %41';
const OWN = `mysql://usage:${encodeURIComponent(MYSQL_PASSWORD)}@127.0.0.1`;
/** What is done once the server's own tables are there. */
const FIRST = `
FLUSH PRIVILEGES;
CREATE USER 'usage'@'127.0.0.1' IDENTIFIED BY '${MYSQL_PASSWORD}';
GRANT ALL ON *.* TO 'usage'@'127.0.0.1' WITH GRANT OPTION;
CREATE DATABASE test;
`;

export interface MysqlServer {
  /** `port`: instead of the server's own. */
  url(database?: string, port?: number): string;
  /** What the suite needs to stop it; not for a server that somebody else started. */
  server: TestServer | undefined;
  /** Ends it, and removes what it stored. */
  close(): Promise<void>;
}

export const hasMysql = process.env.TEST_MYSQL_URL !== undefined || programOf('mariadb') !== undefined;

/**
 * Starts MariaDB on 127.0.0.1, or takes the server of `TEST_MYSQL_URL` (`mysql://user:password@host:3306/database`),
 * whose user may create databases.
 * @param settings For the server's command line.
 */
export async function mysqlServer(
  settings: readonly string[] = ['innodb_flush_log_at_trx_commit=2', 'innodb_buffer_pool_size=64M'],
): Promise<MysqlServer> {
  const given = process.env.TEST_MYSQL_URL;
  if (given) {
    const url = (database?: string) => given.replace(/[^/?]*(?=\?|$)/, (own) => database ?? own);
    return { url, server: undefined, close: async () => {} };
  }
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-mysql-'));
  const { data, temporary } = initialize(directory);
  const server = await ServerProcess.start((port) => ({
    program: programOf('mariadb')!,
    args: [
      '--no-defaults',
      ...[`--datadir=${data}`, `--port=${port}`, '--bind-address=127.0.0.1', '--skip-name-resolve'],
      ...[`--socket=${join(directory, 'socket')}`, `--pid-file=${join(directory, 'pid')}`],
      // Of its own: a server that starts removes every temporary table from there, another server's too.
      `--tmpdir=${temporary}`,
      ...settings.map((setting) => `--${setting}`),
    ],
    ready: /ready for connections/,
  }));
  return {
    url: (database = 'test', port = server.port) => `${OWN}:${port}/${database}`,
    server,
    async close() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Makes the server's files; returns where its data and its temporary tables are. */
function initialize(directory: string): { data: string; temporary: string } {
  const [data, temporary, first] = ['data', 'tmp', 'first.sql'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(data, { mode: 0o700 });
  mkdirSync(temporary);
  writeFileSync(first, FIRST);
  const user = serverUser();
  giveTo(user, directory, data, temporary, first);
  const home = dirname(dirname(programOf('mariadb')!));
  execFileSync(
    join(home, 'bin/mariadb-install-db'),
    [
      ...['--no-defaults', `--datadir=${data}`, `--basedir=${home}`, `--extra-file=${first}`],
      ...['--auth-root-authentication-method=normal', '--skip-test-db'],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, TMPDIR: temporary }, ...user },
  );
  return { data, temporary };
}
