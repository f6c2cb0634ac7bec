import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';

export interface ClientRequest {
  method?: string;
  path?: string;
  headers?: Record<string, string | string[]>;
  body?: string;
}

/** Response as received by a client. */
export interface ClientResponse {
  status: number;
  headers: Record<string, string | string[] | number | undefined>;
  trailers: Record<string, string | string[] | undefined>;
  body: Buffer;
  /** Statuses of the preceding informational responses. */
  informational: number[];
}

/** A request whose response is pending. */
export interface PendingResponse {
  response: Promise<ClientResponse>;
  /** Resolves when `bytes` of the body have been received. */
  received(bytes: number): Promise<void>;
  /** Disconnects without waiting for the rest of the response. */
  abort(): void;
}

export interface Client {
  start(request?: ClientRequest): PendingResponse;
  request(request?: ClientRequest): Promise<ClientResponse>;
  close(): void;
}

export interface Address {
  host: string;
  port: number;
  secure: boolean;
}

/** Collects a body and reports its progress. */
class Body {
  readonly chunks: Buffer[] = [];
  #length = 0;
  readonly #events = new EventEmitter();

  add(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.#length += chunk.length;
    this.#events.emit('data');
  }

  async reaches(bytes: number): Promise<void> {
    while (this.#length < bytes) await once(this.#events, 'data');
  }
}

/** HTTP/1.1 client with a persistent connection. */
export function http1Client({ host, port, secure }: Address): Client {
  const agent = secure
    ? new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false })
    : new http.Agent({ keepAlive: true, maxSockets: 1 });

  const start = ({ method = 'GET', path = '/', headers = {}, body }: ClientRequest = {}): PendingResponse => {
    const content = new Body();
    const informational: number[] = [];
    const request = (secure ? https : http).request({ host, port, agent, method, path, headers });
    const response = new Promise<ClientResponse>((resolve, reject) => {
      request.on('error', reject);
      request.on('information', ({ statusCode }) => informational.push(statusCode));
      request.on('response', (response) => {
        response.on('data', (chunk) => content.add(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            trailers: response.trailers,
            body: Buffer.concat(content.chunks),
            informational,
          }),
        );
      });
    });
    response.catch(() => {});
    if (headers.expect === '100-continue') {
      request.flushHeaders();
      request.on('continue', () => request.end(body));
    } else request.end(body);
    return {
      response,
      received: (bytes) => content.reaches(bytes),
      abort: () => request.destroy(),
    };
  };
  return { start, request: (request) => start(request).response, close: () => agent.destroy() };
}

/** HTTP/2 client with a persistent connection. */
export function http2Client({ host, port, secure }: Address): Client {
  let session: http2.ClientHttp2Session | undefined;
  const connect = () => {
    session = http2.connect(`${secure ? 'https' : 'http'}://${host}:${port}`, { rejectUnauthorized: false });
    session.on('error', () => {});
    session.on('close', () => {
      session = undefined;
    });
    return session;
  };

  const start = ({ method = 'GET', path = '/', headers = {}, body }: ClientRequest = {}): PendingResponse => {
    const content = new Body();
    const informational: number[] = [];
    const stream = (session ?? connect()).request(
      { ':method': method, ':path': path, ...headers },
      { endStream: body === undefined },
    );
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    let trailers: http2.IncomingHttpHeaders = {};
    const response = new Promise<ClientResponse>((resolve, reject) => {
      stream.on('error', reject);
      stream.on('headers', (early) => informational.push(early[':status']!));
      stream.on('response', (response) => {
        head = response;
      });
      stream.on('trailers', (last) => {
        trailers = last;
      });
      stream.on('data', (chunk) => content.add(chunk));
      stream.on('close', () => {
        if (stream.rstCode !== 0 || head[':status'] === undefined) reject(new Error('the stream was reset'));
        const { ':status': status, ...rest } = head;
        resolve({
          status: status!,
          headers: rest,
          trailers,
          body: Buffer.concat(content.chunks),
          informational,
        });
      });
    });
    response.catch(() => {});
    stream.resume();
    if (body !== undefined) stream.end(body);
    return {
      response,
      received: (bytes) => content.reaches(bytes),
      abort: () => stream.close(http2.constants.NGHTTP2_CANCEL),
    };
  };
  return { start, request: (request) => start(request).response, close: () => session?.destroy() };
}

/** Opens a raw connection. */
export async function connect({ host, port, secure }: Address): Promise<net.Socket> {
  const socket = secure
    ? tls.connect({ host, port, rejectUnauthorized: false })
    : net.connect({ host, port });
  socket.on('error', () => {});
  await once(socket, secure ? 'secureConnect' : 'connect');
  return socket;
}

/** Sends `message` on a new connection and returns everything received until the server closes it. */
export async function exchange(address: Address, message: string): Promise<string> {
  const socket = await connect(address);
  socket.setEncoding('latin1');
  socket.write(message, 'latin1');
  return text(socket).catch(() => '');
}

/** Parses the responses that an HTTP/1 server sent on one connection. */
export function parseResponses(sent: string): { status: number; head: string; body: string }[] {
  const responses = [];
  for (let rest = sent; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n');
    const head = rest.slice(0, end);
    const status = Number(head.slice(9, 12));
    rest = rest.slice(end + 4);
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    let body = '';
    if (status < 200 || status === 204 || status === 304) {
      // no body
    } else if (/^transfer-encoding: *chunked/im.test(head)) {
      for (let size = -1; size !== 0; ) {
        size = Number.parseInt(rest, 16);
        const start = rest.indexOf('\r\n') + 2;
        body += rest.slice(start, start + size);
        rest = rest.slice(start + size + 2);
      }
    } else {
      body = length === undefined ? rest : rest.slice(0, Number(length));
      rest = rest.slice(body.length);
    }
    responses.push({ status, head, body });
  }
  return responses;
}
