import { Buffer } from 'node:buffer';
import { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { type Exchange, exchangeOf, exchangeOf2, type Response } from './exchange.ts';

/*
 * The methods that send a response, wrapped once for the whole process: the wrapper of a response that nobody
 * tracks costs one property lookup. Middleware that replaces these methods on its response (compression, say)
 * calls ours in the end, so that what we see is what Node gets.
 *
 * A record is made before the bytes that complete its response are handed to Node. Where the headers are still to
 * come, that is inside `writeHead`, which Node itself calls then: only there are they final, and what is wrong
 * with them throws before anything was recorded.
 */

/** The bytes that Node will count for a chunk; what Node refuses counts nothing. */
function lengthOf(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string') {
    return Buffer.byteLength(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
  }
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}

/** What Node refuses with an error: then the response goes on, usually to an error page. */
function isSendable(chunk: unknown): boolean {
  return (
    chunk === undefined ||
    chunk === null ||
    typeof chunk === 'string' ||
    typeof chunk === 'function' ||
    chunk instanceof Uint8Array
  );
}

/** Whether the response is complete with its headers (RFC 9110 §6.4.1). */
function isBodyless(response: Response, exchange: Exchange): boolean {
  const { statusCode } = response;
  return (
    statusCode === 204 || statusCode === 304 || exchange.request.method === 'HEAD' || exchange.declared === 0
  );
}

function isComplete(response: Response, exchange: Exchange): boolean {
  return (
    exchange.ending ||
    isBodyless(response, exchange) ||
    (exchange.declared !== undefined && exchange.bytes + exchange.sending >= exchange.declared)
  );
}

/** Completes every exchange of the response that the call under way completes. */
function completeIfDone(response: Response, first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; ) {
    const { next }: Exchange = exchange;
    if (exchange.response === response && isComplete(response, exchange)) {
      const bytes = isBodyless(response, exchange) ? 0 : exchange.bytes + exchange.sending;
      exchange.capture.complete(exchange, bytes);
    }
    exchange = next;
  }
}

/** Notes what is sent in this call. */
function open(first: Exchange, bytes: number, ending: boolean): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    exchange.active = true;
    exchange.begun = true;
    exchange.sending = bytes;
    exchange.ending = ending;
  }
}

/** Notes that the headers go out without a body. */
function markBegun(first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) exchange.begun = true;
}

/** The call is over: what was sent is sent, unless it threw. */
function close(response: Response, first: Exchange, sent: boolean): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    if (exchange.response !== response) continue;
    if (sent) exchange.bytes += exchange.sending;
    exchange.active = false;
    exchange.sending = 0;
    exchange.ending = false;
  }
}

type WriteHead<T> = (this: T, status: number, reason: unknown, headers: unknown) => unknown;
type Sending = (chunk: unknown, encoding: unknown, callback: unknown) => unknown;

/** Calls Node's `write` or `end`, with the record made at the right moment. */
function send(
  response: Response,
  first: Exchange,
  method: Sending,
  ending: boolean,
  chunk: unknown,
  encoding: unknown,
  callback: unknown,
): unknown {
  open(first, lengthOf(chunk, encoding), ending);
  if (response.headersSent) completeIfDone(response, first);
  let sent = false;
  try {
    const result = method.call(response, chunk, encoding, callback);
    sent = true;
    // Only where somebody replaced `writeHead` and does not call ours.
    if (ending && first.response === response) completeIfDone(response, first);
    return result;
  } finally {
    close(response, first, sent);
  }
}

/** The Content-Length that a response will have. `headers` are those given to `writeHead`, which win. */
function declaredLength(response: Response, headers: unknown): number | undefined {
  const value = headerIn(headers, 'content-length') ?? response.getHeader('content-length');
  const length = value === undefined ? Number.NaN : Number(value);
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined;
}

/** A header among those given to `writeHead`: an object, a flat list, or a list of pairs. */
export function headerIn(headers: unknown, name: string): unknown {
  if (typeof headers !== 'object' || headers === null) return undefined;
  let found: unknown;
  if (Array.isArray(headers)) {
    const pairs = Array.isArray(headers[0])
      ? headers
      : Array.from({ length: headers.length / 2 }, (_, i) => [headers[2 * i], headers[2 * i + 1]]);
    for (const [key, value] of pairs) if (String(key).toLowerCase() === name) found = value;
  } else {
    for (const key in headers) {
      if (key.length === name.length && key.toLowerCase() === name)
        found = (headers as Record<string, unknown>)[key];
    }
  }
  return found;
}

/** Before the headers are made: the cookie, and what they say about the body. Returns what to give to `writeHead`. */
function beforeHeaders(response: Response, first: Exchange, given: unknown): unknown {
  let headers = given;
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    headers = exchange.capture.prepareHeaders(exchange, headers);
    // The length of a body that comes with `end` is Node's to tell, and not needed.
    if (!exchange.ending) exchange.declared = declaredLength(response, headers);
  }
  return headers;
}

/** Whether the second of the arguments of `writeHead` is the headers, and not the reason phrase. */
function isHeaders(reason: unknown, headers: unknown): boolean {
  return typeof reason === 'object' && reason !== null && headers === undefined;
}

/** What is sent now reaches nobody: the connection is gone, and its 'close' still to come. */
function isGone(response: ServerResponse, exchange: Exchange): boolean {
  return response.destroyed || exchange.connection?.socket.destroyed === true;
}

let hooked = false;

/** Wraps the methods of HTTP/1 responses; once, however often it is called. */
export function hookServerResponse(): void {
  if (hooked) return;
  hooked = true;
  const prototype = ServerResponse.prototype;
  const { writeHead, write, end, flushHeaders } = prototype;
  const nodesWriteHead = writeHead as WriteHead<ServerResponse>;

  Object.assign(prototype, {
    writeHead(this: ServerResponse, status: number, reason?: unknown, headers?: unknown) {
      const exchange = exchangeOf(this);
      if (exchange === undefined || this.headersSent)
        return nodesWriteHead.call(this, status, reason, headers);
      const short = isHeaders(reason, headers);
      const given = beforeHeaders(this, exchange, short ? reason : headers);
      const result = nodesWriteHead.call(this, status, short ? undefined : reason, given);
      // A plain `writeHead` sends nothing yet: Node waits for the body or the end.
      if (exchange.active) completeIfDone(this, exchange);
      return result;
    },

    write(this: ServerResponse, chunk: unknown, encoding: unknown, callback: unknown) {
      const exchange = exchangeOf(this);
      if (exchange === undefined || isGone(this, exchange)) {
        return (write as Sending).call(this, chunk, encoding, callback);
      }
      return send(this, exchange, write as Sending, false, chunk, encoding, callback);
    },

    end(this: ServerResponse, chunk: unknown, encoding: unknown, callback: unknown) {
      const exchange = exchangeOf(this);
      if (exchange === undefined || !isSendable(chunk) || isGone(this, exchange)) {
        return (end as Sending).call(this, chunk, encoding, callback);
      }
      return send(this, exchange, end as Sending, true, chunk, encoding, callback);
    },

    flushHeaders(this: ServerResponse) {
      const exchange = exchangeOf(this);
      if (exchange !== undefined && !this.headersSent) {
        // As Node does it, so that the headers are known before they go out.
        this.writeHead(this.statusCode);
      }
      if (exchange !== undefined && !isGone(this, exchange)) {
        markBegun(exchange);
        completeIfDone(this, exchange);
      }
      flushHeaders.call(this);
    },
  });
}

let hooked2 = false;

/** The same for responses of HTTP/2, whose headers are sent by `writeHead` itself. */
export function hookHttp2ServerResponse(prototype: Http2ServerResponse & { flushHeaders(): void }): void {
  if (hooked2) return;
  hooked2 = true;
  const { writeHead, write, end, flushHeaders } = prototype;
  const nodesWriteHead = writeHead as WriteHead<Http2ServerResponse>;

  Object.assign(prototype, {
    writeHead(this: Http2ServerResponse, status: number, reason?: unknown, headers?: unknown) {
      const exchange = exchangeOf2(this);
      if (exchange === undefined || this.headersSent)
        return nodesWriteHead.call(this, status, reason, headers);
      const short = isHeaders(reason, headers);
      const given = beforeHeaders(this, exchange, short ? reason : headers);
      this.statusCode = status;
      if (!this.stream.destroyed) {
        markBegun(exchange);
        completeIfDone(this, exchange);
      }
      return nodesWriteHead.call(this, status, short ? undefined : reason, given);
    },

    write(this: Http2ServerResponse, chunk: unknown, encoding: unknown, callback: unknown) {
      const exchange = exchangeOf2(this);
      // `end(chunk)` comes here too, when it was counted already.
      if (exchange === undefined || exchange.ending || this.stream.destroyed)
        return (write as Sending).call(this, chunk, encoding, callback);
      return send(this, exchange, write as Sending, false, chunk, encoding, callback);
    },

    end(this: Http2ServerResponse, chunk: unknown, encoding: unknown, callback: unknown) {
      const exchange = exchangeOf2(this);
      if (exchange === undefined || !isSendable(chunk) || this.stream.destroyed) {
        return (end as Sending).call(this, chunk, encoding, callback);
      }
      return send(this, exchange, end as Sending, true, chunk, encoding, callback);
    },

    flushHeaders(this: Http2ServerResponse) {
      if (exchangeOf2(this) !== undefined && !this.headersSent) this.writeHead(this.statusCode);
      else flushHeaders.call(this);
    },
  });
}
