import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { vi } from 'vitest';
import type { Io } from '../../src/cli/io.ts';
import { main } from '../../src/cli/main.ts';
import { type SummaryLike, TrackUsage, type TrackUsageOptions } from '../../src/index.ts';
import { wallClock } from '../../src/platform/clock.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

export async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'track-usage-cli-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

interface Visit {
  /** Time at which it arrives. */
  at: string;
  /** The response has status 500 if it starts with `/fail`, otherwise 200 and the number of bytes in `?bytes=`. */
  path: string;
  method?: string;
  /** Sent unchanged, even if invalid. One byte per character. */
  headers?: Record<string, string>;
}

interface Tracked extends AsyncDisposable {
  visit(...visits: Visit[]): Promise<void>;
}

/** Starts a tracked node:http server that accepts headers which a lenient proxy would let through. */
export async function track(
  directory: string,
  options: TrackUsageOptions = {},
  hooks?: readonly SummaryLike[],
): Promise<Tracked> {
  const server = http.createServer({ insecureHTTPParser: true }, (request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://shop.example');
    response.statusCode = pathname.startsWith('/fail') ? 500 : 200;
    response.end('x'.repeat(Number(searchParams.get('bytes'))));
  });
  const usage = new TrackUsage(
    server,
    new SqliteStorage(join(directory, 'usage.db'), hooks ? { hooks } : {}),
    {
      geo: false,
      ...options,
      journal: { dir: directory },
    },
  );
  await usage.ready();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    async visit(...visits) {
      for (const each of visits) await send(port, each);
      await usage.flush();
      setDurations(join(directory, 'usage.db'));
    },
    async [Symbol.asyncDispose]() {
      await usage.close();
      server.close();
    },
  };
}

async function send(port: number, { at, path, method = 'GET', headers = {} }: Visit): Promise<void> {
  const clock = vi.spyOn(wallClock, 'now').mockReturnValue(Date.parse(at));
  try {
    const socket = net.connect(port, '127.0.0.1');
    const lines = Object.entries({ Host: 'shop.example', Connection: 'close', ...headers });
    socket.write(
      `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
      'latin1',
    );
    const response = await text(socket);
    if (!/^HTTP\/1.1 (200|500)/.test(response)) throw new Error(`unexpected response: ${response}`);
  } finally {
    clock.mockRestore();
  }
}

/** Sets the duration of every request to 1.5 ms, so that tables are reproducible. */
function setDurations(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(`
    PRAGMA busy_timeout = 5000;
    UPDATE records SET duration = 1500;
    UPDATE hourly SET duration = hits * 1500;
    UPDATE daily SET duration = hits * 1500;
    UPDATE monthly SET duration = hits * 1500`);
  database.close();
}

interface Outcome {
  code: number;
  out: string;
  err: string;
}

/** Runs the CLI in this process. */
export async function run(argv: readonly string[], given: Partial<Io> = {}): Promise<Outcome> {
  const outcome: Outcome = { code: -1, out: '', err: '' };
  outcome.code = await main(argv, {
    stdout: (written) => {
      outcome.out += written;
    },
    stderr: (written) => {
      outcome.err += written;
    },
    isTTY: false,
    columns: undefined,
    env: {},
    ...given,
  });
  return outcome;
}

/** Returns the lines of a template without their indentation and the first and last line break. */
export function lines(strings: TemplateStringsArray): string {
  const [, ...all] = strings.raw[0]!.split('\n');
  all.pop();
  const indentation = Math.min(...all.filter(Boolean).map((line) => line.search(/\S|$/)));
  return all.map((line) => `${line.slice(indentation)}\n`).join('');
}
