import { Buffer } from 'node:buffer';
import { OutgoingMessage, ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { types } from 'node:util';
import { wrapMethod } from '../wrap-method.ts';
import { type Exchange, exchangeOf, exchangeOf2, failAll, type Response } from './exchange.ts';
import { declaredLength } from './response-headers.ts';

/*
 * The methods that send a response, wrapped once for the whole process: the wrapper of a response that nobody
 * tracks costs one property lookup. Middleware that replaces these methods on its response (compression, say)
 * calls ours in the end, so that what we see is what Node gets. Each is wrapped on the prototype that has it, so that
 * who wraps it there later, or wrapped it before, is called as without us.
 *
 * A record is made before the bytes that complete its response are handed to Node. Where the headers are still to
 * come, that is inside `writeHead`, which Node itself calls then: only there are they final, and what is wrong
 * with them throws before anything was recorded.
 *
 * Requests and responses are the app's too, which may replace anything on them. All that is read of them here is
 * read inside of `try`: what throws costs the record, never the response.
 */

const { byteLength } = Buffer;

/** The bytes that Node will count for a chunk; what Node refuses counts nothing. */
function lengthOf(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string') {
    return byteLength(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
  }
  return types.isUint8Array(chunk) ? chunk.byteLength : 0;
}

/** What Node refuses with an error: then the response goes on, usually to an error page. */
function isSendable(chunk: unknown): boolean {
  return (
    chunk === undefined ||
    chunk === null ||
    typeof chunk === 'string' ||
    typeof chunk === 'function' ||
    types.isUint8Array(chunk)
  );
}

/** Whether the response is complete with its headers (RFC 9110 §6.4.1). */
function isBodyless(response: Response, exchange: Exchange): boolean {
  const statusCode = exchange.status || response.statusCode;
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

/** Notes the status with which the headers go out: what the app makes of `statusCode` later has no effect. */
function markHead(first: Exchange, status: number): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next)
    exchange.status = status;
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

/** Before a call that sends; `undefined` where nothing is to be noted, as in a call inside another. */
function find<R extends Response>(
  response: R,
  protocol: Protocol<R>,
  ending: boolean,
  chunk: unknown,
): Exchange | undefined {
  let first: Exchange | undefined;
  try {
    first = protocol.exchangeOf(response);
    if (first === undefined || first.active || protocol.isGone(response, first)) return undefined;
    return ending && !isSendable(chunk) ? undefined : first;
  } catch (error) {
    failAll(first, error);
    return undefined;
  }
}

/** Notes what is sent, and makes the record where the headers are out. */
function enter(
  first: Exchange,
  response: Response,
  ending: boolean,
  chunk: unknown,
  encoding: unknown,
): void {
  try {
    open(first, lengthOf(chunk, encoding), ending);
    if (response.headersSent) completeIfDone(response, first);
  } catch (error) {
    failAll(first, error);
  }
}

/** After it. */
function leave(first: Exchange, response: Response, ending: boolean, sent: boolean): void {
  try {
    // Only where somebody replaced `writeHead` and does not call ours.
    if (sent && ending) completeIfDone(response, first);
    close(response, first, sent);
  } catch (error) {
    failAll(first, error);
  }
}

/** Before `writeHead`; `undefined` where nothing is to be done. */
function enterHead<R extends Response>(response: R, protocol: Protocol<R>): Exchange | undefined {
  let first: Exchange | undefined;
  try {
    first = protocol.exchangeOf(response);
    return first === undefined || response.headersSent ? undefined : first;
  } catch (error) {
    failAll(first, error);
    return undefined;
  }
}

/** The headers to give to `writeHead`: those that were given, and the visitor's cookie where it belongs there. */
function prepareHead(response: Response, first: Exchange, given: unknown): unknown {
  try {
    return beforeHeaders(response, first, given);
  } catch (error) {
    failAll(first, error);
    return given;
  }
}

/** In HTTP/1, after `writeHead`: a plain one sends nothing yet, for Node waits for the body or the end. */
function headIsMade(first: Exchange): void {
  try {
    const { response } = first;
    if (response === undefined) return;
    markHead(first, response.statusCode);
    if (first.active) completeIfDone(response, first);
  } catch (error) {
    failAll(first, error);
  }
}

/** In HTTP/2, before `writeHead`, which sends the headers. */
function headIsSent(first: Exchange, status: unknown): void {
  try {
    const response = first.response as Http2ServerResponse | undefined;
    // Node refuses all other statuses, and the app goes on.
    if (response === undefined || response.stream.destroyed || !isFinalStatus(status)) return;
    markHead(first, Number(status));
    for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next)
      exchange.begun = true;
    completeIfDone(response, first);
  } catch (error) {
    failAll(first, error);
  }
}

function isFinalStatus(status: unknown): boolean {
  return (
    (typeof status === 'number' || typeof status === 'string') &&
    Number(status) >= 200 &&
    Number(status) <= 599
  );
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

let hooked = false;

/** Wraps the methods of HTTP/1 responses; once, however often it is called. */
export function hookServerResponse(): void {
  if (hooked) return;
  hooked = true;
  hookHead(ServerResponse.prototype, HTTP1);
  for (const name of ['write', 'end', 'flushHeaders'] as const) {
    hookSending(OutgoingMessage.prototype, name, HTTP1);
    // Who wrapped it on responses before does not call what is on the other prototype now.
    if (Object.hasOwn(ServerResponse.prototype, name)) hookSending(ServerResponse.prototype, name, HTTP1);
  }
}

let hooked2 = false;

/** The same for responses of HTTP/2. */
export function hookHttp2ServerResponse(): void {
  if (hooked2) return;
  hooked2 = true;
  // Not imported: an app without HTTP/2 need not load it.
  const { Http2ServerResponse } = process.getBuiltinModule('node:http2');
  hookHead(Http2ServerResponse.prototype, HTTP2);
  // Its `flushHeaders` calls `writeHead` and nothing else.
  for (const name of ['write', 'end'] as const) hookSending(Http2ServerResponse.prototype, name, HTTP2);
}

/** Where the protocols differ. */
interface Protocol<R extends Response> {
  exchangeOf(response: R): Exchange | undefined;
  /** What is sent now reaches nobody: the connection is gone, and its 'close' still to come. */
  isGone(response: R, exchange: Exchange): boolean;
  /** Whether `writeHead` itself sends the headers. */
  sendsHead: boolean;
}

const HTTP1: Protocol<ServerResponse> = {
  exchangeOf,
  isGone: (response, { connection }) => response.destroyed || connection?.socket.destroyed === true,
  sendsHead: false,
};

const HTTP2: Protocol<Http2ServerResponse> = {
  exchangeOf: exchangeOf2,
  isGone: (response) => response.stream.destroyed,
  sendsHead: true,
};

type Method = (...given: unknown[]) => unknown;

/** Replaces `write`, `end` or `flushHeaders`. */
function hookSending<R extends Response>(
  prototype: object,
  name: 'write' | 'end' | 'flushHeaders',
  protocol: Protocol<R>,
): void {
  const isEnd = name === 'end';
  wrapMethod<Method>(prototype, name, (original) => {
    const method = original();
    return function (this: R, chunk: unknown, encoding: unknown, _callback: unknown) {
      const first = find(this, protocol, isEnd, chunk);
      // biome-ignore lint/complexity/noArguments: what is replaced is called with what was given, and no more
      if (first === undefined) return method.apply(this, arguments as never);
      // The app may have called this on a proxy of its response.
      const response = first.response!;
      enter(first, response, isEnd, chunk, encoding);
      let sent = false;
      try {
        // biome-ignore lint/complexity/noArguments: as above
        const result = method.apply(this, arguments as never);
        sent = true;
        return result;
      } finally {
        leave(first, response, isEnd, sent);
      }
    } as Method;
  });
}

/** A cookie among headers that Node refused went with them: the next try brings one. */
function forgetCookies(first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    exchange.cookieSeen = false;
    exchange.visitor = '';
  }
}

/** Replaces `writeHead`. */
function hookHead<R extends Response>(prototype: object, protocol: Protocol<R>): void {
  wrapMethod<Method>(prototype, 'writeHead', (original) => {
    const method = original();
    return function (this: R, status: unknown, reason: unknown, headers: unknown) {
      const first = enterHead(this, protocol);
      // biome-ignore lint/complexity/noArguments: as above
      if (first === undefined) return method.apply(this, arguments as never);
      const isSecond = typeof reason === 'object' && reason !== null && (headers ?? null) === null;
      const given = isSecond ? reason : headers;
      const prepared = prepareHead(this, first, given);
      if (protocol.sendsHead) headIsSent(first, status);
      let result: unknown;
      // biome-ignore lint/complexity/noArguments: as above
      if (prepared === given) result = method.apply(this, arguments as never);
      else {
        const copy = isSecond ? [status, prepared] : [status, reason, prepared];
        try {
          result = method.apply(this, copy);
        } catch (error) {
          forgetCookies(first);
          throw error;
        }
      }
      if (!protocol.sendsHead) headIsMade(first);
      return result;
    } as Method;
  });
}
