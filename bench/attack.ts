import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Attacked } from './processes/attacked.ts';
import { Child } from './support/child.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, integer, spread, table } from './support/figures.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';

const SERVER = join(import.meta.dirname, 'processes', 'attacked.ts');
/** Requests per second of the attack: a million in ten minutes. */
const RATE = 1_667;
/** Interval between two requests of an ordinary visitor, whose response time is measured. In ms. */
const PROBE_INTERVAL = 25;
const CONNECTIONS = 64;

/** Servers and loads that are compared. */
const VARIANTS = {
  'no attack': { server: 'tracked', isHostile: false },
  'attack, bare server': { server: 'bare', isHostile: true },
  attack: { server: 'tracked', isHostile: true },
} as const;

interface Result extends Attacked {
  /** Response times of the ordinary visitor, in ms, ascending. */
  times: number[];
  /** Size of the database and its log, in bytes. */
  bytes: number;
  sent: number;
}

/** Measures what an attack with a million distinct URLs, agents, referrers and cookies does to the app and the storage. */
export async function run({ quick, minutes = quick ? 0.2 : 10, rounds = 1 }: BenchOptions): Promise<Report> {
  const data: Record<string, Result[]> = {};
  for (let round = 1; round <= rounds; round++) {
    progress(`attack: round ${round} of ${rounds}`);
    // At the same time, so that whatever else the machine does affects all of them.
    const results = await Promise.all(
      Object.entries(VARIANTS).map(
        async ([name, variant]) => [name, await measure(variant, minutes)] as const,
      ),
    );
    for (const [name, result] of results) data[name] = [...(data[name] ?? []), result];
  }
  return {
    title: 'Attack',
    method:
      `A node:http server with six summaries in SQLite receives ${integer(RATE)} requests per second for ${minutes} minutes. ` +
      'During an attack, each request has its own URL, user agent, referrer and visitor cookie, and gets a 404. Without ' +
      'an attack, the requests are those of a shop. All servers run at the same time. Meanwhile, another client requests a page every ' +
      `${PROBE_INTERVAL} ms. The totals of all summaries are compared with the number of responses. Rounds: ${rounds}.`,
    tables: [{ title: 'Response times and stored data', text: tableOf(data) }],
    data,
  };
}

async function measure(
  { server: variant, isHostile }: (typeof VARIANTS)[keyof typeof VARIANTS],
  minutes: number,
): Promise<Result> {
  const directory = newDirectory();
  const server = new Child(SERVER, { args: [variant, directory], flags: ['--expose-gc'] });
  try {
    const port = await server.call<number>('port');
    const end = performance.now() + minutes * 60_000;
    const [sent, times] = await Promise.all([
      load(port, end, isHostile ? hostile : ordinary),
      probe(port, end),
    ]);
    const attacked = await server.call<Attacked>('end');
    for (const [summary, hits] of Object.entries(attacked.hits)) {
      if (hits === attacked.handled) continue;
      throw new Error(`${summary}: ${hits} hits instead of ${attacked.handled}`);
    }
    const files = readdirSync(directory).filter((name) => name.startsWith('usage.db'));
    const bytes = files.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
    return { ...attacked, times: times.sort((a, b) => a - b), bytes, sent };
  } finally {
    await server.stop();
    removeDirectory(directory);
  }
}

function hostile(n: number): string {
  const id = createHash('md5').update(String(n)).digest('hex');
  return (
    `GET /wp-content/${id.slice(0, 12)}.php?x=${id} HTTP/1.1\r\nHost: shop.example.org\r\n` +
    `User-Agent: Mozilla/5.0 (X11; ${id}) Gecko/20100101 Firefox/${n % 200}.0\r\n` +
    `Referer: https://${id.slice(0, 8)}.example/${n}\r\nCookie: track_usage=${id}\r\n\r\n`
  );
}

function ordinary(n: number): string {
  const visitor = createHash('md5')
    .update(String(n % 2_000))
    .digest('hex');
  return (
    `GET /shop/products/${n % 500} HTTP/1.1\r\nHost: shop.example.org\r\n` +
    `User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/${100 + (n % 40)}.0\r\n` +
    `Referer: https://search.example/${n % 50}\r\nCookie: track_usage=${visitor}\r\n\r\n`
  );
}

/** Sends requests at the rate of the attack. Returns their number. */
async function load(port: number, end: number, requestOf: (n: number) => string): Promise<number> {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => Client.connect(port)));
  const idle = [...clients];
  const started = performance.now();
  const running = new Set<Promise<void>>();
  let sent = 0;
  while (performance.now() < end) {
    const due = Math.floor(((performance.now() - started) / 1000) * RATE);
    while (sent < due && idle.length > 0) {
      const client = idle.pop()!;
      const done: Promise<void> = client.request(requestOf(sent++)).then(() => {
        idle.push(client);
        running.delete(done);
      });
      running.add(done);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(running);
  for (const client of clients) client.close();
  return sent;
}

/** Requests a page again and again. Returns the response times, in ms. */
async function probe(port: number, end: number): Promise<number[]> {
  const client = await Client.connect(port);
  const times: number[] = [];
  while (performance.now() < end) {
    const started = performance.now();
    await client.request(ordinary(0));
    times.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL));
  }
  client.close();
  return times;
}

/** Persistent connection that sends one request after the other. */
class Client {
  readonly #socket: Socket;
  #received = '';
  #done: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      this.#received += chunk;
      if (!this.#received.endsWith('</p>')) return;
      this.#received = '';
      this.#done();
    });
  }

  static connect(port: number): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new Client(socket))).on('error', reject);
    });
  }

  request(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(text);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

function tableOf(data: Record<string, Result[]>): string {
  const ms = decimals(2);
  const rank = (share: number) => (times: readonly number[]) =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
  return table(
    ['', 'requests', 'p50, ms', 'p95, ms', 'p99, ms', 'database, MB', 'memory, MB', 'keys of urls'],
    Object.entries(data).map(([name, results]) => {
      const of = (figure: (result: Result) => number, show: (value: number) => string) =>
        spread(results.map(figure), show);
      return [
        name,
        of(({ handled }) => handled, integer),
        of(({ times }) => rank(0.5)(times), ms),
        of(({ times }) => rank(0.95)(times), ms),
        of(({ times }) => rank(0.99)(times), ms),
        of(({ bytes }) => bytes / 1e6, decimals(1)),
        of(({ rss }) => rss / 1e6, integer),
        of(({ keys }) => keys.urls ?? 0, integer),
      ];
    }),
  );
}
