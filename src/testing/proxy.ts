import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What happens to the next message from the client, and to the connection it came on. */
export type Cut =
  /** The server never gets it. */
  | 'before'
  /** The server gets it, and its answer is lost. */
  | 'after';

/** A TCP proxy on 127.0.0.1 that loses connections when it is told to. */
export class CuttingProxy {
  /** Pieces of data that clients have sent since the last `arm`. */
  messages = 0;
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cut: { at: number; how: Cut } | undefined;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#serve(client));
  }

  static async start(target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts once, at the message with that number, counted from 0; never where `at` is `Infinity`. */
  arm(at: number, how: Cut): void {
    this.messages = 0;
    this.#cut = { at, how };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    const server = connect(this.#target, '127.0.0.1');
    let deaf = false;
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
      deaf = true;
      server.write(data);
    });
    server.on('data', (data) => {
      if (deaf) client.destroy();
      else client.write(data);
    });
  }
}
