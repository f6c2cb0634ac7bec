import { once } from 'node:events';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { clearTimeout, setTimeout } from '../../platform/clock.ts';

/** Client from `createClient()` of `redis`, or a pool of them. */
export interface NodeRedisClient {
  /** Sends a command, given by its name and arguments. */
  sendCommand(args: string[], options?: { timeout?: number }): Promise<unknown>;
}

/** Client from `createCluster()` of `redis`. */
export interface NodeRedisCluster {
  /** Primary nodes, by which a cluster is recognized. */
  readonly masters: readonly unknown[];
  /** Sends a command to the node of its first key. */
  sendCommand(
    firstKey: string,
    isReadonly: boolean,
    args: string[],
    options?: { timeout?: number },
  ): Promise<unknown>;
}

/** Client of `ioredis`: `new Redis()` or `new Redis.Cluster()`. */
export interface IoRedisClient {
  /** State of the connection; `ready` if commands can be sent. */
  readonly status: string;
  /** Sends a command. In a cluster, `ioredis` finds the node. */
  call(command: string, args: string[]): Promise<unknown>;
}

/** Client of the user's. */
export type RedisClient = NodeRedisClient | NodeRedisCluster | IoRedisClient;

/** Connection that executes commands. */
export interface Server {
  /** True if commands to the same slot are executed in the order in which they are sent. */
  readonly isOrdered: boolean;
  /**
   * Sends a command.
   * @param key Key that the command uses. In a cluster, it determines the node.
   */
  send(key: string, args: readonly string[]): Promise<unknown>;
  /** Returns a function for each server that holds data, which sends it a command. Several in a cluster. */
  primaries(): Promise<((args: readonly string[]) => Promise<unknown>)[]>;
  close(): Promise<void>;
}

/** Response timeout. In ms. */
const ANSWER_TIMEOUT = 30_000;
/** Maximum time that a client of the user's may take to connect, once a command needs it. In ms. */
const READY_TIMEOUT = 5_000;

export function isClient(value: unknown): value is RedisClient {
  if (typeof value !== 'object' || value === null) return false;
  // The Sentinel client of `redis` takes other arguments.
  if ('getSentinelNode' in value) return false;
  return isIoRedis(value as RedisClient) || typeof (value as NodeRedisClient).sendCommand === 'function';
}

function isIoRedis(client: RedisClient): client is IoRedisClient {
  return typeof (client as IoRedisClient).call === 'function' && 'status' in client;
}

/** Wraps the user's client. The user connects and closes it. */
export function serverOf(client: RedisClient): Server {
  return {
    // A pool sends on several connections.
    isOrdered: false,
    send: (key, args) => sendWith(client, key, [...args]),
    primaries: () => primariesOf(client),
    close: async () => {},
  };
}

/**
 * Sends a command, only with a connection, and cancels it if it cannot be sent in time. Otherwise commands
 * would queue up in a client that is offline, once for each attempt of a batch.
 */
export function sendWith(client: RedisClient, key: string, args: string[]): Promise<unknown> {
  return within(ANSWER_TIMEOUT, async () => {
    if (isOffline(client)) await ready(client);
    if (isIoRedis(client)) return client.call(args[0]!, args.slice(1));
    const options = { timeout: ANSWER_TIMEOUT };
    if ('masters' in client) return client.sendCommand(key, false, args, options);
    return client.sendCommand(args, options);
  });
}

/** Implements `Server.primaries` with a client. */
export async function primariesOf(client: RedisClient): ReturnType<Server['primaries']> {
  const nodes = await nodesOf(client);
  return nodes.map((node) => (args) => sendWith(node, '', [...args]));
}

function nodesOf(client: RedisClient): Promise<RedisClient[]> {
  if ('masters' in client) {
    const { masters, nodeClient } = client as NodeRedisCluster & {
      nodeClient(node: unknown): NodeRedisClient | Promise<NodeRedisClient>;
    };
    return Promise.all(masters.map((node) => nodeClient.call(client, node)));
  }
  const { nodes } = client as { nodes?(role: string): IoRedisClient[] };
  return Promise.resolve(nodes?.call(client, 'master') ?? [client]);
}

/** Returns whether a client is offline. A pool connects when it is used, and has no such state. */
function isOffline(client: RedisClient): boolean {
  if (isIoRedis(client)) return client.status !== 'ready';
  return (client as { isReady?: boolean }).isReady === false;
}

async function ready(client: RedisClient): Promise<void> {
  const signal = AbortSignal.timeout(READY_TIMEOUT);
  try {
    await once(client as unknown as NodeJS.EventEmitter, 'ready', { signal });
  } catch (cause) {
    // `once` also rejects on an `error` event, whose message is the reason.
    const what = isIoRedis(client) ? 'the client of ioredis' : 'the client of redis';
    throw new TrackUsageError(
      'STORAGE_OFFLINE',
      { what, reason: signal.aborted ? 'it did not connect in time' : reasonOf(cause) },
      { cause },
    );
  }
}

/** Rejects if there is no response in time, so that a hanging server cannot block the caller. */
export async function within<T>(ms: number, call: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new TrackUsageError('TIMEOUT', { what: 'a Redis command', value: ms })),
      ms,
    );
  });
  try {
    return await Promise.race([call(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a script. All of its keys are in one slot. */
export function run(
  server: Server,
  script: string,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  return server.send(keys[0]!, ['EVAL', script, String(keys.length), ...keys, ...args]);
}
