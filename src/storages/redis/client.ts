import { once } from 'node:events';
import { clearTimeout, setTimeout } from '../../clock.ts';
import { reasonOf, TrackUsageError } from '../../errors.ts';

/** A client of `redis`: `createClient()`, or a pool of them. */
export interface NodeRedisClient {
  sendCommand(args: string[], options?: { timeout?: number }): Promise<unknown>;
}

/** A client of `redis`: `createCluster()`. */
export interface NodeRedisCluster {
  readonly masters: readonly unknown[];
  sendCommand(
    firstKey: string,
    isReadonly: boolean,
    args: string[],
    options?: { timeout?: number },
  ): Promise<unknown>;
}

/** A client of `ioredis`: `new Redis()` or `new Redis.Cluster()`. */
export interface IoRedisClient {
  readonly status: string;
  call(command: string, args: string[]): Promise<unknown>;
}

/** A client of the user's. */
export type RedisClient = NodeRedisClient | NodeRedisCluster | IoRedisClient;

/** Where commands go. */
export interface Server {
  /** Whether what is about one slot is carried out in the order in which it is sent. */
  readonly isOrdered: boolean;
  /** @param key One that the command is about: in a cluster it says which node gets it. */
  send(key: string, args: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

/** How long an answer may take. In ms. */
const ANSWER_TIMEOUT = 30_000;
/** How long a client of the user's may take to connect, once a command wants it. In ms. */
const READY_TIMEOUT = 5_000;

export function isClient(value: unknown): value is RedisClient {
  if (typeof value !== 'object' || value === null) return false;
  // One of `redis` for Sentinel takes other arguments.
  if ('getSentinelNode' in value) return false;
  return isIoRedis(value as RedisClient) || typeof (value as NodeRedisClient).sendCommand === 'function';
}

function isIoRedis(client: RedisClient): client is IoRedisClient {
  return typeof (client as IoRedisClient).call === 'function' && 'status' in client;
}

/** The user's client, which connects, and is closed, by the user. */
export function serverOf(client: RedisClient): Server {
  return {
    // A pool sends on several connections.
    isOrdered: false,
    send: (key, args) => sendWith(client, key, [...args]),
    close: async () => {},
  };
}

/**
 * Commands that wait for a connection in a client would gather: each try of a batch would be there once more. They
 * are not begun without a connection, and taken back when they could not be sent in time.
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

/** A pool connects when it is used, and has no such state. */
function isOffline(client: RedisClient): boolean {
  if (isIoRedis(client)) return client.status !== 'ready';
  return (client as { isReady?: boolean }).isReady === false;
}

async function ready(client: RedisClient): Promise<void> {
  const signal = AbortSignal.timeout(READY_TIMEOUT);
  try {
    await once(client as unknown as NodeJS.EventEmitter, 'ready', { signal });
  } catch (cause) {
    // An `error` too: what it says is the reason.
    const what = isIoRedis(client) ? 'the client of ioredis' : 'the client of redis';
    throw new TrackUsageError(
      'STORAGE_OFFLINE',
      { what, reason: signal.aborted ? 'it did not connect' : reasonOf(cause) },
      { cause },
    );
  }
}

/** Rejects when an answer does not come: a server that hangs must not hang what waits for it. */
export async function within<T>(ms: number, ask: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new TrackUsageError('TIMEOUT', { what: 'an answer of Redis', value: ms })),
      ms,
    );
  });
  try {
    return await Promise.race([ask(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a script; its keys stand in one slot. */
export function run(
  server: Server,
  script: string,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  return server.send(keys[0]!, ['EVAL', script, String(keys.length), ...keys, ...args]);
}
