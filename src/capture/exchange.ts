import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';
import { monotonicClock, wallClock } from '../platform/clock.ts';
import type { Capture } from './capture.ts';
import type { HeldOutput } from './hold.ts';
import type { SocketResponse } from './socket-response.ts';

export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;

/** How a framework lets its facts be read; see `frameworks/`. */
export interface RequestReader {
  /** Whether the framework trusts the proxy at `address`, `hop` proxies away. */
  trusts(request: Request, address: string, hop: number): boolean;
  /** The path that the framework routes by. Defaults to that of the target, as it was sent. */
  path?(request: Request, target: string): string;
  /** The route's pattern; `''` where there is none or it cannot be known. */
  route(request: Request): string;
  /** The pattern under which the route's router is mounted; `''` for the app itself. */
  blueprint(request: Request): string;
  /**
   * The functions that the app gave to handle the route, as far as the framework shows them, and those that hold it:
   * routers and plugins that are functions.
   */
  handlers(request: Request): readonly unknown[];
  /** Whether a router or an app that is no function holds the route. */
  holds?(holder: object, request: Request): boolean;
  /** What the route's own settings say: whether it is tracked. */
  tracked?(request: Request): boolean | undefined;
  /** The values of the route's parameters; `undefined` where there are none. */
  routeParams(request: Request): object | undefined;
}

/** A request and its response, from arrival until the response is complete. */
export class Exchange {
  capture!: Capture;
  request!: Request;
  /** `undefined` when the exchange is over. */
  response: Response | undefined = undefined;
  reader!: RequestReader;
  connection: Connection | undefined = undefined;
  /** The request's target as it arrived: frameworks rewrite `request.url`. */
  target = '';
  /** ms since 1970 */
  date = 0;
  /** On the monotonic clock, in ms. */
  started = 0;
  /** The status that the headers have; 0 while there are none. */
  status = 0;
  /** Body bytes given to Node so far. */
  bytes = 0;
  /** Whether the headers were handed to the connection: `writeHead` of HTTP/1 alone sends nothing. */
  begun = false;
  /** Whether `write` or `end` is under way, which sends the headers. */
  active = false;
  /** Body bytes of that call. */
  sending = 0;
  /** Whether `end` is under way. */
  ending = false;
  /** Whether `end` was called while the response waited behind another. */
  ended = false;
  /** Whether the `end` that is under way corks the socket. */
  corking = false;
  /** Whether an `end` threw and left the socket corked, so that what is handed to it stays there. */
  refused = false;
  /** Body bytes that stay there. */
  stuck = 0;
  /** What is written to the socket in the response's place, where that happens. */
  socketResponse: SocketResponse | undefined = undefined;
  /** The Content-Length that the response announced. */
  declared: number | undefined = undefined;
  /** The visitor's id; `''` without one. */
  visitor = '';
  /** Whether the cookie was looked at. */
  cookieSeen = false;
  /** Another TrackUsage's exchange of the same response: an app and an app inside it may both be tracked. */
  next: Exchange | undefined = undefined;

  begin(
    capture: Capture,
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
    this.ending = false;
    this.ended = false;
    this.refused = false;
    this.stuck = 0;
    this.socketResponse = undefined;
    this.declared = undefined;
    this.visitor = '';
    this.cookieSeen = false;
    this.next = undefined;
  }
}

const CONNECTION = Symbol('track-usage connection');
const EXCHANGE = Symbol('track-usage exchange');

type Tracked<T> = T & { [CONNECTION]?: Connection; [EXCHANGE]?: Exchange | undefined };

/**
 * What is known of a connection. The exchange that is under way lives here and is used again for the next one:
 * a property on the response itself costs microseconds, since frameworks change its prototype.
 */
export class Connection {
  readonly exchange = new Exchange();
  readonly socket: Duplex & {
    remoteAddress?: string;
    localAddress?: string;
    localPort?: number;
    encrypted?: boolean;
  };
  /** The peer's address, which the socket forgets when it is closed. */
  readonly address: string;
  readonly scheme: string;
  /** What its socket would have written and is held back until the turn's end; see `hold.ts`. */
  output: HeldOutput | undefined;
  /** The last request on it that left HTTP, by Upgrade or CONNECT. Kept when its exchange is over. */
  upgrade: Exchange | undefined;
  /** Whether the writes to the socket are watched; see `socket-watch.ts`. */
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

  /** Whether others than `exchange` are under way. */
  get hasOthers(): boolean {
    return this.#others !== undefined && this.#others.size > 0;
  }

  add(exchange: Exchange): void {
    this.#others ??= new Set();
    this.#others.add(exchange);
  }

  remove(exchange: Exchange): void {
    this.#others?.delete(exchange);
  }

  /** The client left: what is under way will never be complete. */
  #close(): void {
    if (this.exchange.response) abandon(this.exchange);
    for (const exchange of this.#others ?? []) abandon(exchange);
  }
}

/** Reading a request or its response failed: see `Capture.fail`. */
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

/** What is known of the connection of a socket. */
export function connectionOf(socket: object): Connection | undefined {
  return (socket as Tracked<object>)[CONNECTION];
}

/** The exchange under way of a response of HTTP/1. */
export function exchangeOf(response: ServerResponse): Exchange | undefined {
  const socket = socketOf(response);
  if (socket) {
    const exchange = (socket as Tracked<typeof socket>)[CONNECTION]?.exchange;
    if (exchange !== undefined && isOf(exchange, response)) return exchange;
  }
  return (response as Tracked<ServerResponse>)[EXCHANGE];
}

/** The request has the same one, where an app made reading it from the response fail. */
function socketOf(response: ServerResponse): Duplex | null {
  try {
    return response.socket;
  } catch {
    return response.req.socket;
  }
}

/** An app may call the methods on a proxy of the response, which has the same request. */
function isOf({ response: own, request }: Exchange, response: ServerResponse): boolean {
  return own === response || (own !== undefined && request === response.req);
}

/** The exchange under way of a stream of HTTP/2, many of which share a connection. */
export function exchangeOfStream(stream: object): Exchange | undefined {
  return (stream as Tracked<object>)[EXCHANGE];
}

/** What an exchange is kept on that cannot be its connection's: the response, with HTTP/2 its stream. */
function keeperOf(response: Response): Tracked<object> {
  return 'stream' in response ? response.stream : response;
}

export function keepOn(response: Response, exchange: Exchange | undefined): void {
  keeperOf(response)[EXCHANGE] = exchange;
}

const answeredResponses = new WeakSet<object>();

/** Notes that a response was answered on its socket: whatever the app does with it is no other response. */
export function markAnswered(response: Response): void {
  answeredResponses.add(response);
}

export function isAnswered(response: Response): boolean {
  return answeredResponses.has(response);
}

/** An exchange is over. Those of others on the same response may still be under way. */
export function endExchange(exchange: Exchange, response: Response): void {
  const { connection } = exchange;
  exchange.response = undefined;
  if (connection?.exchange !== exchange) connection?.remove(exchange);
  const kept = keeperOf(response)[EXCHANGE];
  if (kept !== exchange && connection?.exchange !== exchange) return;
  let { next } = exchange;
  while (next !== undefined && next.response !== response) next = next.next;
  if (next !== undefined) connection?.add(next);
  if (next !== undefined || kept !== undefined) keepOn(response, next);
}
