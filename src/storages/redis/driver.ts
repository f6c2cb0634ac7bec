import { loadDriver } from '../../storage/load-driver.ts';
import type { RedisAddress } from './address.ts';
import { primariesOf, type Server, sendWith, within } from './client.ts';

/** Connection timeout. In ms. */
const CONNECT_TIMEOUT = 5_000;

interface Connected {
  send(key: string, args: string[]): Promise<unknown>;
  primaries: Server['primaries'];
  destroy(): void;
}

/**
 * Connection of our own. After any failure, the next command opens a new one, to the node that is then
 * responsible and without leftover state.
 */
export class Connection implements Server {
  readonly isOrdered = true;
  readonly #addresses: readonly RedisAddress[];
  #connected: Promise<Connected> | undefined;

  constructor(addresses: readonly RedisAddress[]) {
    this.#addresses = addresses;
  }

  send(key: string, args: readonly string[]): Promise<unknown> {
    return this.#with((connected) => connected.send(key, [...args]));
  }

  primaries(): ReturnType<Server['primaries']> {
    return this.#with((connected) => connected.primaries());
  }

  async #with<T>(use: (connected: Connected) => Promise<T>): Promise<T> {
    this.#connected ??= connect(this.#addresses);
    const used = this.#connected;
    try {
      return await use(await used);
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

/** Connects to the first reachable address. If it is a node of a cluster, connects to the cluster. */
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
      primaries: () => primariesOf(client),
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
    primaries: () => primariesOf(cluster),
    destroy: () => cluster.isOpen && cluster.destroy(),
  };
}

/**
 * Returns the client's options.
 * @param single True if they are for this node only. Other nodes of its cluster share the rest.
 */
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
  // Failed commands report the error. Without a listener it would end the process.
  client.on('error', () => {});
  try {
    await within(CONNECT_TIMEOUT * 2, () => client.connect());
  } catch (error) {
    if (client.isOpen) client.destroy();
    throw error;
  }
  return client;
}

/**
 * Returns the mode: `standalone`, `cluster` or `sentinel`. The response is a list in protocol version 2, and
 * a map in version 3.
 */
function modeOf(hello: unknown): unknown {
  if (Array.isArray(hello)) return hello[hello.indexOf('mode') + 1];
  return (hello as { mode?: unknown }).mode;
}
