import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** When a connection is cut. */
export type Cut =
  /** Before the server receives the message. */
  | 'before'
  /** After the server received the message, so that its response is lost. */
  | 'after';

/** A TCP proxy on 127.0.0.1 that cuts connections on demand. */
export class CuttingProxy {
  /** Number of chunks that clients have sent since the last `arm`. */
  messages = 0;
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cut: { at: number; how: Cut } | undefined;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#serve(client));
  }

  /**
   * Starts a proxy on a free port.
   * @param target Port of the server, on 127.0.0.1.
   */
  static async start(target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** Port of the proxy, on 127.0.0.1. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts the connection once, at message number `at`, counted from 0. `Infinity` means never. */
  arm(at: number, how: Cut): void {
    this.messages = 0;
    this.#cut = { at, how };
  }

  /** Closes the proxy and all of its connections. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    const server = connect(this.#target, '127.0.0.1');
    let isLost = false;
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (data) => {
      const cut = this.#cut;
      const number = this.messages++;
      if (cut === undefined || number < cut.at) {
        server.write(data);
        return;
      }
      this.#cut = undefined;
      if (cut.how === 'before') {
        client.destroy();
        return;
      }
      isLost = true;
      server.write(data);
    });
    server.on('data', (data) => {
      if (isLost) client.destroy();
      else client.write(data);
    });
  }
}
