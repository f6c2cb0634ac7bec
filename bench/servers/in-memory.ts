import type { Server } from 'node:http';
import { Duplex } from 'node:stream';

const CONNECTIONS = 64;

/** Connections that send a server requests from memory and discard its responses. */
export class InMemoryClients {
  readonly #connections: Connection[];
  readonly #requests = Array.from({ length: 500 }, (_, i) => Buffer.from(requestOf(i)));
  #sent = 0;

  constructor(server: Server) {
    this.#connections = Array.from({ length: CONNECTIONS }, () => {
      const connection = new Connection();
      server.emit('connection', connection);
      return connection;
    });
  }

  /**
   * Sends a number of requests. As under load, each connection sends one per turn of the event loop, after
   * microtasks and next-tick callbacks of the previous one have run.
   */
  async send(requests: number): Promise<void> {
    for (let left = requests; left > 0; left -= CONNECTIONS) {
      await Promise.all(
        this.#connections.slice(0, left).map((connection) => {
          const request = this.#requests[this.#sent++ % this.#requests.length]!;
          return new Promise<void>((resolve) => {
            connection.onResponse = resolve;
            setImmediate(() => connection.push(request));
          });
        }),
      );
    }
  }
}

/** Implements the part of a socket that a node:http server uses. */
class Connection extends Duplex {
  readonly remoteAddress = '127.0.0.1';
  onResponse: () => void = () => {};

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: unknown, callback: () => void): void {
    callback();
    this.onResponse();
  }

  override _writev(_chunks: unknown, callback: () => void): void {
    callback();
    this.onResponse();
  }

  setTimeout(): this {
    return this;
  }
}

const AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36',
  'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
];
const LANGUAGES = ['en-US,en;q=0.9', 'fr-FR,fr;q=0.9,en-US;q=0.8,en;q=0.7'];
const PATHS: ((i: number) => string)[] = [
  () => '/',
  (i) => `/products/${i}`,
  (i) => `/articles/how-to-count-${i}`,
  (i) => `/search?q=shoes&page=${i}`,
  (i) => `/api/items/${i}?fields=name,price`,
];

/** Returns a request as in `load.lua`, with the headers of a browser. */
function requestOf(i: number): string {
  const headers = {
    Host: 'shop.example.org',
    'User-Agent': AGENTS[i % AGENTS.length],
    Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
    'Accept-Language': LANGUAGES[i % LANGUAGES.length],
    'Accept-Encoding': 'gzip, deflate, br, zstd',
    Referer: `https://www.example.org/list?page=${i % 20}`,
    Cookie: `consent=yes; theme=dark; visitor=${(i % 50).toString(16).padStart(32, '0')}`,
    'Sec-Fetch-Dest': 'document',
    'Sec-Fetch-Mode': 'navigate',
    'Sec-Fetch-Site': 'same-origin',
    'Upgrade-Insecure-Requests': '1',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${PATHS[i % PATHS.length]!(i)} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
