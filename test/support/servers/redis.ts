import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestServer } from '../../../src/testing/index.ts';
import { programOf } from '../services.ts';
import { freePort } from './free-port.ts';
import { kill } from './kill.ts';

/** Settings of all servers: only the append-only file, synced before each response, with readable texts. */
const SETTINGS = [
  ...['--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
  ...['--rdbcompression', 'no'],
];

/** A Redis server for one test, on 127.0.0.1, with a temporary directory. */
export class RedisServer implements TestServer {
  port = 0;
  readonly #directory = mkdtempSync(join(tmpdir(), 'track-usage-redis-'));
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;
  readonly #onExit = () => this.#child?.kill('SIGKILL');

  private constructor(settings: readonly string[]) {
    this.#settings = settings;
    process.on('exit', this.#onExit);
  }

  /**
   * Starts a server.
   * @param settings Settings of `redis.conf`, which extend or replace the defaults.
   */
  static async start(...settings: string[]): Promise<RedisServer> {
    const server = new RedisServer(settings);
    server.port = await freePort();
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** Runs a command and returns its output. */
  cli(...command: string[]): string {
    const program = programOf('redis')!.replace(/redis-server$/, 'redis-cli');
    return execFileSync(program, ['-p', String(this.port), ...command], { encoding: 'utf8' }).trim();
  }

  /** Returns whether a file of the server contains a text. */
  contains(text: string): boolean {
    return readdirSync(this.#directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .some(({ parentPath, name }) => readFileSync(join(parentPath, name)).includes(text));
  }

  async start(): Promise<void> {
    const program = programOf('redis');
    if (!program) throw new Error('redis-server is not installed: npm run services');
    const settings = [...SETTINGS, ...this.#settings, '--port', String(this.port), '--dir', this.#directory];
    const child = spawn(program, settings, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    for await (const line of createInterface(child.stdout!)) {
      // It loads its append-only file before this message.
      if (line.includes('Ready to accept connections')) {
        child.stdout!.resume();
        return;
      }
    }
    throw new Error(`redis-server did not start on port ${this.port}`);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await kill(child);
  }

  /** Stops the server and removes its data. */
  async close(): Promise<void> {
    await this.stop();
    process.off('exit', this.#onExit);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Starts a cluster of three nodes, without replicas. */
export async function redisCluster(): Promise<RedisServer[]> {
  const nodes: RedisServer[] = [];
  try {
    for (let n = 0; n < 3; n++) nodes.push(await clusterNode());
    const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
    nodes[0]!.cli('--cluster', 'create', ...addresses, '--cluster-replicas', '0', '--cluster-yes');
    await agreed(nodes);
    return nodes;
  } catch (error) {
    for (const node of nodes) await node.close();
    throw error;
  }
}

async function clusterNode(): Promise<RedisServer> {
  const bus = await freePort();
  return RedisServer.start(
    '--cluster-enabled',
    'yes',
    '--cluster-port',
    String(bus),
    '--cluster-node-timeout',
    '2000',
  );
}

/** Waits until all nodes agree on the cluster's state, which takes about a second. */
export async function agreed(nodes: readonly RedisServer[]): Promise<void> {
  const isReady = (node: RedisServer) => /^cluster_state:ok/.test(node.cli('cluster', 'info'));
  while (!nodes.every(isReady)) await new Promise((resolve) => setTimeout(resolve, 50));
}
