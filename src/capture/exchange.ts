import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';
import { monotonicClock, wallClock } from '../platform/clock.ts';
import type { SocketResponse } from './socket-response.ts';

/** Node's request, of HTTP/1 or HTTP/2. */
export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;

/** Reads a framework's data about a request: see `frameworks/`. */
export interface RequestReader {
  /** Returns whether the framework trusts the proxy at `address`, at a distance of `hop` proxies. */
  trusts(request: Request, address: string, hop: number): boolean;
  /** Returns the path used for routing. Defaults to the path of the target, as it was sent. */
  path?(request: Request, target: string): string;
  /** Returns the route's pattern, or `''` if there is none or it is unknown. */
  route(request: Request): string;
  /** Returns the pattern at which the route's router is mounted, or `''` for the app itself. */
  blueprint(request: Request): string;
  /**
   * Returns the app's handlers of the route that the framework exposes, and the routers and plugins that
   * contain the route, if they are functions.
   */
  handlers(request: Request): readonly unknown[];
  /** Returns whether a router or app that is not a function contains the route. */
  isWithin?(holder: object, request: Request): boolean;
  /** Returns whether the route's own options enable tracking, or `undefined` if they do not set it. */
  tracked?(request: Request): boolean | undefined;
  /** Returns the route's parameters, or `undefined` if there are none. */
  routeParams(request: Request): object | undefined;
}

/** Receives the events of an exchange. Implemented by `Capture`. */
export interface ExchangeObserver {
  /** The headers are final except for the visitor's cookie. Returns the headers to pass to `writeHead`. */
  prepareHeaders(exchange: Exchange, headers: unknown): unknown;
  /** The bytes that complete the response are about to be passed to Node. */
  complete(exchange: Exchange, bytes: number): void;
  /** A response written directly to the socket is complete, or about to be. */
  completeBySocket(exchange: Exchange, status: number, bytes: number): void;
  /** The client left, or the app destroyed the response, before it was complete. */
  abandon(exchange: Exchange): void;
  /** Reading the request or its response failed. */
  fail(exchange: Exchange, error: unknown): void;
}

/** Socket output that is deferred until records are in the journal. Implemented by `deferred-output.ts`. */
export interface ConnectionOutput {
  /** Returns false if `holder` already defers it. */
  addDeferral(holder: object): boolean;
  /** Writes the output to the socket when its last holder is removed. */
  removeDeferral(holder: object): void;
}

/** A request and its response, from arrival until the response is complete. */
export class Exchange {
  capture!: ExchangeObserver;
  request!: Request;
  /** `undefined` when the exchange has ended. */
  response: Response | undefined = undefined;
  reader!: RequestReader;
  connection: Connection | undefined = undefined;
  /** Request target as it arrived, because frameworks rewrite `request.url`. */
  target = '';
  /** ms since 1970. */
  date = 0;
  /** Monotonic timestamp, in ms. */
  started = 0;
  /** Status in the headers; 0 before there are headers. */
  status = 0;
  /** Number of body bytes that calls of `write` and `end` passed on, without the one in progress. */
  bytes = 0;
  /** True if the headers were passed to the connection. In HTTP/1, `writeHead` alone sends nothing. */
  begun = false;
  /** True if a call of `write` or `end` is in progress, which sends the headers. */
  active = false;
  /** Number of body bytes of the call in progress. */
  sending = 0;
  /** True if the call in progress passed output on. It may still throw: a strict `end` checks the length afterwards. */
  passed = false;
  /** True if a call of `end` is in progress. */
  ending = false;
  /** True if `end` was called while the response waited behind another. */
  ended = false;
  /** True if the current `end` corks the socket. */
  corking = false;
  /** True if an `end` threw and left the socket corked, so that further output stays in it. */
  refused = false;
  /** Number of body bytes that stay in it. */
  stuck = 0;
  /** Response written directly to the socket, if any. */
  socketResponse: SocketResponse | undefined = undefined;
  /** Content-Length announced by the response. */
  declared: number | undefined = undefined;
  /** Content-Type of the response; `''` without one. */
  contentType = '';
  /** Visitor ID; `''` without one. */
  visitor = '';
  /** True if the cookie was processed. */
  cookieSeen = false;
  /** Exchange of another TrackUsage with the same response. An app and a nested app may both be tracked. */
  next: Exchange | undefined = undefined;

  begin(
    capture: ExchangeObserver,
    request: Request,
    response: Response,
    target: string,
    reader: RequestReader,
    connection: Connection | undefined,
  ): void {
    this.capture = capture;
    this.request = request;
    this.response = response;
    this.reader = reader;
    this.connection = connection;
    this.target = target;
    this.date = wallClock.now();
    this.started = monotonicClock.now();
    this.status = 0;
    this.bytes = 0;
    this.begun = false;
    this.active = false;
    this.sending = 0;
    this.passed = false;
    this.ending = false;
    this.ended = false;
    this.refused = false;
    this.stuck = 0;
    this.socketResponse = undefined;
    this.declared = undefined;
    this.contentType = '';
    this.visitor = '';
    this.cookieSeen = false;
    this.next = undefined;
  }
}

const CONNECTION = Symbol('track-usage connection');
const EXCHANGE = Symbol('track-usage exchange');

type Tracked<T> = T & { [CONNECTION]?: Connection; [EXCHANGE]?: Exchange | undefined };

/**
 * State of a connection. Its exchange is stored here and reused for the next request. A property on the
 * response itself would cost microseconds, because frameworks change its prototype.
 */
export class Connection {
  readonly exchange = new Exchange();
  readonly socket: Duplex & {
    remoteAddress?: string;
    localAddress?: string;
    localPort?: number;
    encrypted?: boolean;
  };
  /** Peer address, which the socket no longer has after it is closed. */
  readonly address: string;
  readonly scheme: string;
  /** Output of its socket that is deferred until the end of the turn: see `deferred-output.ts`. */
  output: ConnectionOutput | undefined;
  /** Last request that switched protocols, by Upgrade or CONNECT. Kept after its exchange has ended. */
  upgrade: Exchange | undefined;
  /** True if the socket's writes are watched: see `socket-watch.ts`. */
  watched = false;
  /** Exchanges that wait behind another on the same connection (pipelining). */
  #others: Set<Exchange> | undefined;

  private constructor(socket: Connection['socket']) {
    this.socket = socket;
    this.address = socket.remoteAddress ?? '';
    this.scheme = socket.encrypted ? 'https://' : 'http://';
    socket.once('close', () => this.#close());
  }

  static of(socket: Duplex): Connection {
    const tracked = socket as Tracked<Connection['socket']>;
    let connection = tracked[CONNECTION];
    if (connection === undefined) {
      connection = new Connection(tracked);
      tracked[CONNECTION] = connection;
    }
    return connection;
  }

  /** True if other exchanges than `exchange` are in progress. */
  get hasOthers(): boolean {
    return this.#others !== undefined && this.#others.size > 0;
  }

  /** Exchange that has waited longest behind another. */
  get oldestWaiting(): Exchange | undefined {
    return this.#others?.values().next().value;
  }

  add(exchange: Exchange): void {
    this.#others ??= new Set();
    this.#others.add(exchange);
  }

  remove(exchange: Exchange): void {
    this.#others?.delete(exchange);
  }

  /** Ends all exchanges, because the client left and they will never be complete. */
  #close(): void {
    if (this.exchange.response) abandon(this.exchange);
    for (const exchange of this.#others ?? []) abandon(exchange);
  }
}

/** Handles an error while reading a request or its response: see `Capture.fail`. */
export function failAll(first: Exchange | undefined, error: unknown): void {
  for (let exchange = first; exchange; ) {
    const { next }: Exchange = exchange;
    exchange.capture.fail(exchange, error);
    exchange = next;
  }
}

export function abandon(first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; ) {
    const { next }: Exchange = exchange;
    exchange.capture.abandon(exchange);
    exchange = next;
  }
}

/** Returns the state of a socket's connection. */
export function connectionOf(socket: object): Connection | undefined {
  return (socket as Tracked<object>)[CONNECTION];
}

/** Returns the current exchange of an HTTP/1 response. */
export function exchangeOf(response: ServerResponse): Exchange | undefined {
  const socket = socketOf(response);
  if (socket) {
    const exchange = (socket as Tracked<typeof socket>)[CONNECTION]?.exchange;
    if (exchange !== undefined && isOf(exchange, response)) return exchange;
  }
  return (response as Tracked<ServerResponse>)[EXCHANGE];
}

/**
 * Returns the response's socket. Falls back to the request's socket if an app made reading the response fail.
 */
function socketOf(response: ServerResponse): Duplex | null {
  try {
    return response.socket;
  } catch {
    return response.req.socket;
  }
}

/**
 * Returns whether an exchange belongs to a response. An app may call the methods on a proxy of its response,
 * which has the same request.
 */
function isOf({ response: own, request }: Exchange, response: ServerResponse): boolean {
  return own === response || (own !== undefined && request === response.req);
}

/** Returns the current exchange of an HTTP/2 stream, many of which share a connection. */
export function exchangeOfStream(stream: object): Exchange | undefined {
  return (stream as Tracked<object>)[EXCHANGE];
}

/**
 * Returns the object that stores an exchange which its connection cannot: the response, or its stream in
 * HTTP/2.
 */
function carrierOf(response: Response): Tracked<object> {
  return 'stream' in response ? response.stream : response;
}

export function attachExchange(response: Response, exchange: Exchange | undefined): void {
  carrierOf(response)[EXCHANGE] = exchange;
}

const answeredResponses = new WeakSet<object>();

/** Marks a response that was sent through its socket. Later calls on it are not another response. */
export function markAnswered(response: Response): void {
  answeredResponses.add(response);
}

export function isAnswered(response: Response): boolean {
  return answeredResponses.has(response);
}

/** Ends an exchange. Exchanges of other instances with the same response may continue. */
export function endExchange(exchange: Exchange, response: Response): void {
  const { connection } = exchange;
  exchange.response = undefined;
  if (connection?.exchange !== exchange) connection?.remove(exchange);
  const kept = carrierOf(response)[EXCHANGE];
  if (kept !== exchange && connection?.exchange !== exchange) return;
  let { next } = exchange;
  while (next !== undefined && next.response !== response) next = next.next;
  if (next !== undefined) connection?.add(next);
  if (next !== undefined || kept !== undefined) attachExchange(response, next);
}
