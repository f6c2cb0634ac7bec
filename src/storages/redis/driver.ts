import { loadDriver } from '../load-driver.ts';
import type { RedisAddress } from './address.ts';
import { type Server, sendWith, within } from './client.ts';

/** In ms. */
const CONNECT_TIMEOUT = 5_000;

interface Connected {
  send(key: string, args: string[]): Promise<unknown>;
  destroy(): void;
}

/**
 * A connection of our own. After whatever failure, the next command makes a new one: to the node that is the right
 * one by then, and with nothing left over in it.
 */
export class Connection implements Server {
  readonly isOrdered = true;
  readonly #addresses: readonly RedisAddress[];
  #connected: Promise<Connected> | undefined;

  constructor(addresses: readonly RedisAddress[]) {
    this.#addresses = addresses;
  }

  async send(key: string, args: readonly string[]): Promise<unknown> {
    this.#connected ??= connect(this.#addresses);
    const used = this.#connected;
    try {
      const connected = await used;
      return await connected.send(key, [...args]);
    } catch (error) {
      this.#drop(used);
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#connected) this.#drop(this.#connected);
  }

  #drop(used: Promise<Connected>): void {
    if (this.#connected !== used) return;
    this.#connected = undefined;
    used.then(
      (connected) => connected.destroy(),
      () => {},
    );
  }
}

/** To the first address that answers; where it is a node of a cluster, to the cluster. */
async function connect(addresses: readonly RedisAddress[]): Promise<Connected> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await connectTo(address, addresses);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

async function connectTo(address: RedisAddress, addresses: readonly RedisAddress[]): Promise<Connected> {
  const { createClient, createCluster } = await loadDriver('RedisStorage', 'redis', () => import('redis'));
  const client = await opened(createClient(optionsOf(address)));
  if (modeOf(await client.sendCommand(['HELLO'])) !== 'cluster') {
    return {
      send: (key, args) => sendWith(client, key, args),
      destroy: () => client.isOpen && client.destroy(),
    };
  }
  client.destroy();
  const cluster = await opened(
    createCluster({
      rootNodes: addresses.map((each) => optionsOf(each)),
      defaults: optionsOf(address, false),
    }),
  );
  return {
    send: (key, args) => sendWith(cluster, key, args),
    destroy: () => cluster.isOpen && cluster.destroy(),
  };
}

/** @param single Whether it is about this very node: others of its cluster share the rest. */
function optionsOf({ host, port, tls, username, password, database }: RedisAddress, single = true) {
  return {
    ...(username && { username }),
    ...(password && { password }),
    ...(single && database > 0 && { database }),
    socket: {
      ...(single && { host, port }),
      ...(tls && { tls: true as const, servername: host }),
      connectTimeout: CONNECT_TIMEOUT,
      reconnectStrategy: false as const,
    },
    disableOfflineQueue: true,
  };
}

async function opened<
  T extends {
    connect(): Promise<unknown>;
    destroy(): void;
    isOpen: boolean;
    on(event: string, listener: () => void): unknown;
  },
>(client: T): Promise<T> {
  // Whoever waits for an answer is told; nobody else needs to be.
  client.on('error', () => {});
  try {
    await within(CONNECT_TIMEOUT * 2, () => client.connect());
  } catch (error) {
    if (client.isOpen) client.destroy();
    throw error;
  }
  return client;
}

/** `standalone`, `cluster` or `sentinel`. The answer is a list by the protocol's version 2, a map by 3. */
function modeOf(hello: unknown): unknown {
  if (Array.isArray(hello)) return hello[hello.indexOf('mode') + 1];
  return (hello as { mode?: unknown }).mode;
}
