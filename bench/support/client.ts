import { connect, type Socket } from 'node:net';

const HEADERS =
  'Host: shop.example.org\r\n' +
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n' +
  'Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n' +
  'Accept-Language: de-DE,de;q=0.9,en;q=0.8\r\n' +
  'Referer: https://www.example.org/list\r\n\r\n';

/**
 * Client for a server on this machine. Its connections are persistent, and each sends one request after the
 * other.
 */
export class KeepAliveClient {
  readonly #port: number;
  readonly #connections: number;

  constructor(port: number, connections: number) {
    this.#port = port;
    this.#connections = connections;
  }

  /** Sends `count` GET requests. Rejects at the first response other than 200. */
  async get(count: number, pathOf: (n: number) => string): Promise<void> {
    let sent = 0;
    const nextPath = () => (sent < count ? pathOf(sent++) : undefined);
    await Promise.all(Array.from({ length: this.#connections }, () => this.#work(nextPath)));
  }

  #work(nextPath: () => string | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#port, '127.0.0.1');
      let received = '';
      const next = () => {
        const path = nextPath();
        if (path === undefined) socket.end();
        else socket.write(`GET ${path} HTTP/1.1\r\n${HEADERS}`);
      };
      socket.setNoDelay(true).setEncoding('latin1');
      socket.on('connect', next);
      socket.on('error', reject);
      socket.on('close', () => resolve());
      socket.on('data', (chunk: string) => {
        received = received === '' ? chunk : received + chunk;
        if (!isComplete(received)) return;
        if (!received.startsWith('HTTP/1.1 200 ')) fail(socket, reject, received);
        received = '';
        next();
      });
    });
  }
}

function isComplete(response: string): boolean {
  const end = response.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const at = response.indexOf('Content-Length: ');
  return response.length >= end + 4 + Number.parseInt(response.slice(at + 16, at + 26), 10);
}

function fail(socket: Socket, reject: (error: Error) => void, response: string): void {
  socket.destroy();
  reject(new Error(`Unexpected response: ${response.slice(0, 200)}`));
}
