import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestServer } from '../../../src/testing/index.ts';
import { programOf } from '../services.ts';
import { kill } from './kill.ts';

export interface MongoServer {
  /** Returns the URL of a database. `port` replaces the server's own port. */
  url(database: string, port?: number): string;
  /** Server that the suite can stop; `undefined` for an external one. */
  server: TestServer | undefined;
  /** Stops the server and removes its data. */
  close(): Promise<void>;
}

/** True if there is a server for tests. */
export const hasMongo = process.env.TEST_MONGO_URL !== undefined || programOf('ferretdb') !== undefined;

/**
 * Starts FerretDB on 127.0.0.1, or uses the server of `TEST_MONGO_URL`
 * (`mongodb://user:password@host:27017`).
 */
export async function mongoServer(): Promise<MongoServer> {
  const given = process.env.TEST_MONGO_URL;
  if (given) {
    const [, server, query = ''] = /^(\w+(?:\+srv)?:\/\/[^/?]+)[^?]*(\?.*)?$/.exec(given) ?? [];
    return { url: (database) => `${server}/${database}${query}`, server: undefined, close: async () => {} };
  }
  const server = new FerretDb(await freePort());
  await server.start();
  return {
    url: (database, port = server.port) => `mongodb://127.0.0.1:${port}/${database}`,
    server,
    async close() {
      await server.stop();
      server.remove();
    },
  };
}

/** Returns a port outside the ephemeral range, so that it is still free when the server is restarted. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

class FerretDb implements TestServer {
  readonly port: number;
  readonly #directory = mkdtempSync(join(tmpdir(), 'track-usage-mongo-'));
  readonly #kill = () => this.#child?.kill('SIGKILL');
  #child: ChildProcess | undefined;

  constructor(port: number) {
    this.port = port;
    mkdirSync(join(this.#directory, 'data'));
    // Runs however the tests end.
    process.once('exit', this.#kill);
  }

  async start(): Promise<void> {
    // Without fsync: tests kill processes, not machines.
    const pragmas = ['busy_timeout(10000)', 'journal_mode(wal)', 'synchronous(off)'];
    const data = `file:${join(this.#directory, 'data')}/?${pragmas.map((each) => `_pragma=${each}`).join('&')}`;
    const child = spawn(
      programOf('ferretdb')!,
      [
        '--handler=sqlite',
        `--sqlite-url=${data}`,
        `--state-dir=${this.#directory}`,
        `--listen-addr=127.0.0.1:${this.port}`,
        '--debug-addr=-',
        '--telemetry=disable',
        '--log-level=info',
        '--log-format=text',
      ],
      // It creates much garbage of little data: collecting it less often saves a third of the time of a query.
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { PATH: process.env.PATH, GOGC: '800', GOMEMLIMIT: '1GiB' },
      },
    );
    this.#child = child;
    const lines = createInterface(child.stderr!);
    const said: string[] = [];
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        if (/Listening on TCP/.test(line)) resolve();
        else if (said.length < 20) said.push(line);
      });
      child.once('exit', () => reject(new Error(`FerretDB ended:\n${said.join('\n')}`)));
    });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await kill(child);
  }

  remove(): void {
    process.removeListener('exit', this.#kill);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
