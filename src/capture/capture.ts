import { ServerResponse } from 'node:http';
import { reasonOf, show, TrackUsageError } from '../errors.ts';
import { monotonicClock } from '../platform/clock.ts';
import { Cookies } from './cookies.ts';
import { OutputDeferral } from './deferred-output.ts';
import {
  attachExchange,
  Connection,
  Exchange,
  type ExchangeObserver,
  endExchange,
  exchangeOf,
  exchangeOfStream,
  type Request,
  type RequestReader,
  type Response,
} from './exchange.ts';
import { FieldReader, microsSince } from './fields.ts';
import { readHeaders, wrapHttp2 } from './http2-response-wrapper.ts';
import type { CaptureOptions } from './options.ts';
import type { RecordCounter, RecordSink } from './record-sink.ts';
import { wrapServerResponse } from './response-wrapper.ts';
import { watchSocket } from './socket-watch.ts';
import { beginUpgrade } from './upgrade.ts';
import { nodeRequestOf, RequestVars } from './vars.ts';

/** Status for a client that left before any header was sent (the code used by nginx). */
const CLIENT_CLOSED_REQUEST = 499;

/** Converts requests and responses to records, in the app's thread, just before each response is complete. */
export class Capture implements ExchangeObserver {
  readonly #options: CaptureOptions;
  readonly #sink: RecordSink;
  readonly #counter: RecordCounter;
  readonly #deferral: OutputDeferral | undefined;
  readonly #vars = new RequestVars();
  readonly #cookies: Cookies;
  readonly #fields: FieldReader;
  /** Requests that could not be read. Not allocated in most processes. */
  #unreadable: WeakSet<object> | undefined;
  #stopped = false;

  constructor(options: CaptureOptions) {
    this.#options = options;
    this.#cookies = new Cookies(options);
    this.#fields = new FieldReader(options, this.#vars, this.#cookies);
    this.#sink = options.sink;
    this.#counter = options.counter;
    if (this.#sink.defersResponses) {
      const deferral = new OutputDeferral(() => this.#sink.appendPending());
      this.#sink.afterTurn = () => deferral.release();
      this.#deferral = deferral;
    }
    wrapServerResponse();
  }

  /** Stops recording. */
  stop(): void {
    this.#stopped = true;
  }

  /** Called when a request arrives. A second call for the same request only adds its framework. */
  begin(request: Request, response: Response, target: string, reader: RequestReader): void {
    if (this.#stopped) return;
    try {
      if (this.#unreadable?.has(request)) return;
      if ((request as { upgrade?: unknown }).upgrade === true)
        beginUpgrade(this, request, response, target, reader);
      else if ('stream' in response) this.#begin2(request, response, target, reader);
      else this.#begin1(request, response, target, reader);
    } catch (error) {
      this.unread(request, error);
    }
  }

  /** Handles an error that occurred before an exchange began. The request is only counted. Never throws. */
  unread(request: unknown, error: unknown): void {
    if (this.#stopped) return;
    if (typeof request === 'object' && request !== null) {
      // A framework and its server may both have received it.
      this.#unreadable ??= new WeakSet();
      if (this.#unreadable.has(request)) return;
      this.#unreadable.add(request);
    }
    this.#countUncaptured(error);
  }

  /** Handles an error during an exchange. The request is only counted. Never throws. */
  fail(exchange: Exchange, error: unknown): void {
    const { response } = exchange;
    if (response === undefined) return;
    try {
      endExchange(exchange, response);
    } catch {
      // The exchange has ended, but could not be detached, because the response is frozen.
    }
    this.#countUncaptured(error);
  }

  #countUncaptured(error: unknown): void {
    this.#sink.uncaptured += 1;
    this.#options.onProblem(
      new TrackUsageError('CAPTURE_FAILED', { reason: reasonOf(error) }, { cause: error }),
    );
  }

  #begin1(
    request: Request,
    response: Response & { stream?: undefined },
    target: string,
    reader: RequestReader,
  ) {
    const first = exchangeOf(response);
    if (first !== undefined) {
      this.#join(first, request, response, target, reader);
      return;
    }
    // Another listener has recorded the response, or its headers were sent before this listener ran.
    if (response.headersSent) return;
    if (!(response instanceof ServerResponse)) throw new TypeError('its response is not a response of Node');
    const connection = Connection.of(request.socket);
    if (!connection.watched) watchSocket(connection);
    let { exchange } = connection;
    // A response that waits behind another one has no socket yet. An injected response has another socket.
    if (exchange.response !== undefined || response.socket !== request.socket) {
      exchange = new Exchange();
      attachExchange(response, exchange);
      connection.add(exchange);
    }
    exchange.begin(this, request, response, target, reader, connection);
  }

  #begin2(request: Request, response: Response, target: string, reader: RequestReader) {
    if (!('stream' in response)) return;
    wrapHttp2(response);
    const first = exchangeOfStream(response.stream);
    if (first !== undefined) {
      this.#join(first, request, response, target, reader);
      return;
    }
    if (response.headersSent) return;
    const exchange = new Exchange();
    const session = response.stream.session;
    exchange.begin(
      this,
      request,
      response,
      target,
      reader,
      session ? Connection.of(session.socket) : undefined,
    );
    attachExchange(response, exchange);
    const { stream } = response;
    stream.once('close', () => {
      readHeaders(stream, exchange);
      for (let open: Exchange | undefined = exchange; open; open = open.next) open.capture.abandon(open);
    });
  }

  #join(first: Exchange, request: Request, response: Response, target: string, reader: RequestReader): void {
    let exchange = first;
    while (exchange.capture !== this && exchange.next) exchange = exchange.next;
    if (exchange.capture === this) {
      exchange.reader = reader;
      return;
    }
    exchange.next = new Exchange();
    exchange.next.begin(this, request, response, target, reader, first.connection);
  }

  /** Returns whether the function was passed to `exclude` or `include`. */
  isMarked(given: unknown): boolean {
    return this.#options.views.has(given);
  }

  /** Called for a request that is about to switch protocols, by Upgrade or CONNECT. */
  upgrade(request: Request, target: string, reader: RequestReader): void {
    if (this.#stopped) return;
    try {
      if (this.#unreadable?.has(request)) return;
      beginUpgrade(this, request, undefined, target, reader);
    } catch (error) {
      this.unread(request, error);
    }
  }

  /**
   * Returns the vars of the request among a handler's arguments. Without a request, returns a temporary
   * object.
   */
  vars(given: unknown): Record<string, unknown> {
    try {
      const request = nodeRequestOf(given);
      if (request) return this.#vars.of(request);
      this.#options.onProblem(new TrackUsageError('VARS_REQUEST', { value: show(given) }));
    } catch (error) {
      // For example, the request is frozen.
      this.#options.onProblem(
        new TrackUsageError('VARS_LEFT_OUT', { reason: reasonOf(error) }, { cause: error }),
      );
    }
    return {};
  }

  /** Called when the bytes that complete the response are about to be passed to Node. */
  complete(exchange: Exchange, bytes: number): void {
    const response = exchange.response!;
    const status = exchange.status || response.statusCode;
    endExchange(exchange, response);
    const isRecorded = this.#record(exchange, status, bytes, response);
    // Output is deferred only if a record waits for the end of the turn.
    if (isRecorded && this.#deferral !== undefined && !this.#deferOutput(exchange, response))
      this.#sink.appendPending();
  }

  /** Called when a response written directly to the socket is complete, or about to be. */
  completeBySocket(exchange: Exchange, status: number, bytes: number): void {
    const { response } = exchange;
    if (response === undefined) return;
    endExchange(exchange, response);
    this.#record(exchange, status, bytes);
    if (this.#deferral !== undefined) this.#sink.appendPending();
  }

  /** Defers the output of the connection. Returns false if the record must be appended immediately. */
  #deferOutput({ connection, request }: Exchange, response: Response): boolean {
    try {
      if (connection?.upgrade?.request === request) return false;
      // For a response that waits behind another, Node itself decides when its bytes are sent.
      if ('stream' in response || connection === undefined || response.socket !== connection.socket)
        return false;
      return this.#deferral!.defer(connection);
    } catch {
      // An app may have changed any of these objects.
      return false;
    }
  }

  /** Called when the client left, or the app destroyed the response, before it was complete. */
  abandon(exchange: Exchange): void {
    const { response } = exchange;
    if (!response) return;
    try {
      const { begun, bytes, stuck, socketResponse } = exchange;
      endExchange(exchange, response);
      if (begun) this.#record(exchange, exchange.status || response.statusCode, bytes - stuck);
      else if (socketResponse?.status) this.#record(exchange, socketResponse.status, socketResponse.bytes);
      else this.#record(exchange, CLIENT_CLOSED_REQUEST, 0);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  /**
   * Called when the headers are final, except for the visitor's cookie. Returns the headers to pass to
   * `writeHead`.
   */
  prepareHeaders(exchange: Exchange, headers: unknown): unknown {
    return this.#cookies.prepareHeaders(exchange, headers);
  }

  /** Appends the record of an exchange, if it is tracked. Returns whether it did. */
  #record(exchange: Exchange, status: number, bytes: number, response?: Response): boolean {
    if (this.#stopped) {
      this.#sink.uncaptured += 1;
      return false;
    }
    try {
      if (!this.#options.views.tracks(exchange)) return false;
      const fields = this.#fields.read(exchange, status, bytes, response !== undefined);
      if (fields === undefined) return false;
      const ended = monotonicClock.now();
      fields.duration = microsSince(exchange.started, ended);
      this.#sink.append(fields, ended);
      this.#counter.add(fields);
      return true;
    } catch (error) {
      this.#countUncaptured(error);
      return false;
    }
  }
}
