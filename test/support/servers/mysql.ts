import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestServer } from '../../../src/testing/index.ts';
import { programOf } from '../services.ts';
import { giveTo, hasText, ServerProcess, serverUser } from './process.ts';

/** Password with characters that URLs must escape. */
export const MYSQL_PASSWORD = 'p@ss/w:rd %41';
const OWN = `mysql://usage:${encodeURIComponent(MYSQL_PASSWORD)}@127.0.0.1`;
/** SQL that runs after the server's own tables have been created. */
const FIRST = `
FLUSH PRIVILEGES;
CREATE USER 'usage'@'127.0.0.1' IDENTIFIED BY '${MYSQL_PASSWORD}';
GRANT ALL ON *.* TO 'usage'@'127.0.0.1' WITH GRANT OPTION;
CREATE DATABASE test;
`;

export interface MysqlServer {
  /** Returns a URL. `port` replaces the server's own port. */
  url(database?: string, port?: number): string;
  /** Server that the suite can stop; `undefined` for an external one. */
  server: TestServer | undefined;
  /** Returns whether the files of a database contain a text, without the server's logs; `undefined` for an external server. */
  contains: ((database: string, text: string) => boolean) | undefined;
  /** Stops the server and removes its data. */
  close(): Promise<void>;
}

export const hasMysql = process.env.TEST_MYSQL_URL !== undefined || programOf('mariadb') !== undefined;

/**
 * Starts MariaDB on 127.0.0.1, or uses the server of `TEST_MYSQL_URL`
 * (`mysql://user:password@host:3306/database`), whose user may create databases.
 * @param settings Command-line options of the server.
 */
export async function mysqlServer(
  settings: readonly string[] = ['innodb_flush_log_at_trx_commit=2', 'innodb_buffer_pool_size=64M'],
): Promise<MysqlServer> {
  const given = process.env.TEST_MYSQL_URL;
  if (given) {
    const url = (database?: string) => given.replace(/[^/?]*(?=\?|$)/, (own) => database ?? own);
    return { url, server: undefined, contains: undefined, close: async () => {} };
  }
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-mysql-'));
  const { data, temporary } = initialize(directory);
  const server = await ServerProcess.start((port) => ({
    program: programOf('mariadb')!,
    args: [
      '--no-defaults',
      ...[`--datadir=${data}`, `--port=${port}`, '--bind-address=127.0.0.1', '--skip-name-resolve'],
      ...[`--socket=${join(directory, 'socket')}`, `--pid-file=${join(directory, 'pid')}`],
      // A separate directory: a starting server removes every temporary table in it, even those of other
      // servers.
      `--tmpdir=${temporary}`,
      ...settings.map((setting) => `--${setting}`),
    ],
    ready: /ready for connections/,
  }));
  return {
    url: (database = 'test', port = server.port) => `${OWN}:${port}/${database}`,
    server,
    contains: (database, text) => hasText(join(data, database), text),
    async close() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Creates the server's files. Returns the directories of its data and its temporary tables. */
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
