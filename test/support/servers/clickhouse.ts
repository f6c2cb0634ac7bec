import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestServer } from '../../../src/testing/index.ts';
import { filesContain } from './clickhouse-files.ts';
import { CLICKHOUSE_PASSWORD } from './clickhouse-password.ts';
import { kill } from './kill.ts';

const PROGRAM = join(import.meta.dirname, 'clickhouse-process.ts');

export interface ClickhouseServer {
  /** Returns the URL of a database. `port` replaces the server's own port. */
  url(database: string, port?: number): string;
  /** Server that the suite can stop; `undefined` for an external one. */
  server: TestServer | undefined;
  /** Runs a statement and returns its result as tab-separated text. */
  sql(query: string): Promise<string>;
  /** Returns whether the files of a database contain a text. Only for a server on this machine. */
  contains(database: string, text: string): Promise<boolean>;
  /** Stops the server and removes its data. */
  close(): Promise<void>;
}

/**
 * Starts ClickHouse's engine as a server on 127.0.0.1.
 * @param given URL of a running server to use instead, as `clickhouse://user:password@host:8123`.
 */
export async function clickhouseServer(given?: string): Promise<ClickhouseServer> {
  if (given) {
    return {
      url: (database) => withDatabase(given, database),
      server: undefined,
      sql: (query) => ask(given, query),
      contains: async () => {
        throw new Error('the files are on another machine');
      },
      close: async () => {},
    };
  }
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-clickhouse-'));
  const process_ = new ServerProcess(directory);
  await process_.start();
  const own = `clickhouse://default:${encodeURIComponent(CLICKHOUSE_PASSWORD)}@127.0.0.1`;
  return {
    url: (database, port = process_.port) => withDatabase(`${own}:${port}`, database),
    server: process_,
    sql: (query) => ask(`${own}:${process_.port}`, query),
    async contains(database, text) {
      const paths = await ask(
        `${own}:${process_.port}`,
        `SELECT DISTINCT arrayJoin(data_paths) FROM system.tables WHERE database = '${database}'`,
      );
      return filesContain(paths.split('\n').filter(Boolean), text);
    },
    async close() {
      await process_.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function withDatabase(url: string, database: string): string {
  return `${url.replace(/\/$/, '')}/${database}`;
}

async function ask(server: string, query: string): Promise<string> {
  const { host, username, password } = new URL(server.replace(/^clickhouse/, 'http'));
  const authorization = `Basic ${Buffer.from(`${username}:${decodeURIComponent(password)}`).toString('base64')}`;
  const answer = await fetch(`http://${host}/`, { method: 'POST', body: query, headers: { authorization } });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}

class ServerProcess implements TestServer {
  port = 0;
  readonly #directory: string;
  #child: ChildProcess | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, [PROGRAM, this.#directory, String(this.port)], {
      // It exits when its standard input ends, so it never outlives this process.
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
    });
    this.#child = child;
    const ended = once(child, 'exit').then(() => {
      throw new Error(
        `ClickHouse's engine did not start: ${process.platform} ${process.arch} may have no package`,
      );
    });
    const [line] = (await Promise.race([once(createInterface(child.stdout!), 'line'), ended])) as [string];
    // After the start, its exit is no error.
    ended.catch(() => {});
    this.port = Number(/^listening (\d+)$/.exec(line)?.[1]);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await kill(child);
  }
}
