import { Buffer } from 'node:buffer';
import { OutgoingMessage, ServerResponse } from 'node:http';
import { types } from 'node:util';
import { wrapMethod } from '../platform/wrap-method.ts';
import { type Exchange, exchangeOf, failAll, type Response } from './exchange.ts';
import { isRefused, isWaiting, markRefused } from './refusals.ts';
import { contentTypeOf, declaredLength } from './response-headers.ts';
import { beginUnseen } from './unseen.ts';

/*
 * Wraps the methods that send a response, once per process. For an untracked response, the wrapper costs one
 * property lookup. Middleware that replaces these methods on its response (for example compression)
 * eventually calls ours, so we see exactly what Node receives. Each method is wrapped on the prototype that
 * defines it. So other wrappers are called as usual, whether they were installed before or after.
 *
 * A record is created before the bytes that complete its response are passed to Node's socket, but after all
 * checks by Node. `write` and `end` check their arguments, the headers and the length of the body, and then
 * call `_send`, which also sends the headers. Refused calls never get there.
 *
 * Apps may replace anything on requests and responses. So everything is read inside `try`: an error costs the
 * record, never the response.
 */

const { byteLength, isEncoding } = Buffer;

/**
 * Returns the number of bytes that Node counts for a chunk, or `undefined` if the stream refuses the
 * encoding.
 */
export function lengthOf(chunk: unknown, encoding: unknown): number | undefined {
  const named = typeof encoding === 'function' ? undefined : encoding;
  if (named && named !== 'buffer' && !isEncoding(named as string)) return undefined;
  if (typeof chunk === 'string') return byteLength(chunk, (named || 'utf8') as BufferEncoding);
  return types.isUint8Array(chunk) ? chunk.byteLength : 0;
}

/** Returns true if the response has no body, regardless of what the app writes (RFC 9110 §6.4.1). */
function isBodyless(response: Response, exchange: Exchange): boolean {
  // Node decides by the first status passed to `writeHead`, even if it refused the headers.
  if ((response as { _hasBody?: boolean })._hasBody === false) return true;
  const status = exchange.status || response.statusCode;
  return status === 204 || status === 304 || status < 200 || exchange.request.method === 'HEAD';
}

/** Completes the response's exchanges that end with the current write. */
function completeIfDone(response: Response, first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; ) {
    const { next }: Exchange = exchange;
    if (exchange.response === response) {
      const { declared, ending, ended } = exchange;
      const bytes = exchange.bytes + exchange.sending;
      if (isBodyless(response, exchange)) exchange.capture.complete(exchange, 0);
      else if (ending || ended || (declared !== undefined && bytes >= declared))
        exchange.capture.complete(exchange, bytes);
    }
    exchange = next;
  }
}

/** Updates the exchanges with the bytes that the current call sends. */
function startCall(first: Exchange, bytes: number, ending: boolean): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    exchange.active = true;
    exchange.sending = bytes;
    exchange.passed = false;
    exchange.ending = ending;
  }
}

/** Called after a call of `write` or `end`. Counts its bytes as sent, unless it threw before it passed them on. */
function endCall(response: Response, first: Exchange, sent: boolean): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    if (exchange.response !== response) continue;
    if (sent && !isBodyless(response, exchange)) {
      exchange.bytes += exchange.sending;
      if (exchange.refused) exchange.stuck += exchange.sending;
    }
    exchange.active = false;
    exchange.sending = 0;
    exchange.ending = false;
  }
}

/**
 * Returns true if the output is discarded: the connection is closed or half-closed, and 'close' has not been
 * emitted yet.
 */
function isGone(response: ServerResponse, { connection }: Exchange): boolean {
  return response.destroyed || connection?.socket.writable === false;
}

/**
 * Called before a method that sends. Returns `undefined` if there is nothing to record, for example in a
 * nested call.
 */
function enter(response: ServerResponse, isEnd: boolean, chunk: unknown, encoding: unknown) {
  let first: Exchange | undefined;
  try {
    first = exchangeOf(response);
    if (first === undefined || first.active || isGone(response, first)) return undefined;
    // An `end` without a chunk ignores its encoding.
    const bytes = isEnd && !chunk ? 0 : lengthOf(chunk, encoding);
    startCall(first, bytes ?? 0, isEnd && bytes !== undefined);
    if (isEnd && bytes === undefined) markRefused(first);
    // Node corks the socket first, and leaves it corked if it throws.
    if (isEnd) first.corking = Boolean(chunk) || !response.headersSent;
    return first;
  } catch (error) {
    failAll(first, error);
    return undefined;
  }
}

/** Called after a method that sends. */
function leave(first: Exchange, response: ServerResponse, isEnd: boolean, sent: boolean): void {
  try {
    if (sent && isEnd && first.response === response && response.writableEnded) {
      if (isWaiting(response)) markEnded(first);
      // An `end` that had nothing more to send.
      else completeIfDone(response, first);
    }
    if (!sent && isEnd && first.corking) markRefused(first);
    endCall(response, first, sent || first.passed);
  } catch (error) {
    failAll(first, error);
  }
}

function markEnded(first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) exchange.ended = true;
}

/** Called when the headers are sent, possibly with the complete response. */
function beginSending(response: ServerResponse, first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) exchange.begun = true;
  completeIfDone(response, first);
}

/** Called just before Node passes output of a response to its socket. */
function onOutput(outgoing: ServerResponse): void {
  let first: Exchange | undefined;
  try {
    first = exchangeOf(outgoing);
    const response = first?.response as ServerResponse | undefined;
    if (first === undefined || response === undefined) return;
    first.passed = first.active;
    if (isWaiting(response) || isGone(response, first) || isRefused(response, first)) return;
    beginSending(response, first);
  } catch (error) {
    failAll(first, error);
  }
}

/** Called when Node sends the output that it buffered while the response waited behind another. */
function onFlush(outgoing: ServerResponse): void {
  let first: Exchange | undefined;
  try {
    first = exchangeOf(outgoing);
    const response = first?.response as ServerResponse | undefined;
    if (first === undefined || response === undefined) return;
    // Without headers, the output is 100 (Continue) or 103 (Early Hints), and the response is still to come.
    if (!first.active && response.headersSent && !isGone(response, first)) beginSending(response, first);
  } catch (error) {
    failAll(first, error);
  }
}

/** Called before `writeHead`. Returns `undefined` if there is nothing to do. */
function enterHead<R extends Response>(response: R, protocol: Protocol<R>): Exchange | undefined {
  let first: Exchange | undefined;
  try {
    first = protocol.exchangeOf(response) ?? protocol.beginUnseen(response);
    return first === undefined || response.headersSent ? undefined : first;
  } catch (error) {
    failAll(first, error);
    return undefined;
  }
}

/** Returns the headers to pass to `writeHead`: the app's, and the visitor's cookie if it belongs there. */
function prepareHead(first: Exchange, given: unknown): unknown {
  try {
    return beforeHeaders(first, given);
  } catch (error) {
    failAll(first, error);
    return given;
  }
}

/** Called after `writeHead` in HTTP/1, when the headers are final. */
function onHeadersFinal(first: Exchange, headers: unknown): void {
  try {
    const response = first.response as ServerResponse | undefined;
    if (response === undefined) return;
    // A chunked body ends with its last chunk. If the body is passed to `end`, Node determines its length.
    const isOpen = first.ending || response.chunkedEncoding;
    const declared = isOpen ? undefined : declaredLength(response, headers);
    const contentType = contentTypeOf(response, headers);
    for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
      exchange.status = response.statusCode;
      exchange.declared = declared;
      exchange.contentType = contentType;
    }
  } catch (error) {
    failAll(first, error);
  }
}

/** Adds the visitor's cookie before the headers are written. Returns the arguments for `writeHead`. */
function beforeHeaders(first: Exchange, given: unknown): unknown {
  let headers = given;
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    headers = exchange.capture.prepareHeaders(exchange, headers);
  }
  return headers;
}

let wrapped = false;

/** Wraps the methods of HTTP/1 responses. Idempotent. */
export function wrapServerResponse(): void {
  if (wrapped) return;
  wrapped = true;
  wrapWriteHead(ServerResponse.prototype, { exchangeOf, beginUnseen, onHeadersFinal });
  for (const name of ['write', 'end'] as const) {
    wrapSending(OutgoingMessage.prototype, name);
    // A wrapper installed earlier on `ServerResponse` does not call methods of the other prototype.
    if (Object.hasOwn(ServerResponse.prototype, name)) wrapSending(ServerResponse.prototype, name);
  }
  wrapOutput('_send', onOutput);
  wrapOutput('_flushOutput', (outgoing) => {
    if ((outgoing as unknown as { outputData: unknown[] }).outputData.length > 0) onFlush(outgoing);
  });
}

type Method = (...given: unknown[]) => unknown;

/** Replaces `write` or `end`. */
function wrapSending(prototype: object, name: 'write' | 'end'): void {
  const isEnd = name === 'end';
  wrapMethod<Method>(prototype, name, (original) => {
    const method = original();
    return function (this: ServerResponse, chunk: unknown, encoding: unknown, _callback: unknown) {
      const first = enter(this, isEnd, chunk, encoding);
      // biome-ignore lint/complexity/noArguments: the original gets exactly the arguments that were passed
      if (first === undefined) return method.apply(this, arguments as never);
      // The app may have called this on a proxy of its response.
      const response = first.response as ServerResponse;
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

/** Wraps an internal method through which Node sends output, so that `before` is called first. */
function wrapOutput(name: '_send' | '_flushOutput', before: (response: ServerResponse) => void): void {
  wrapMethod<Method>(OutgoingMessage.prototype, name, (original) => {
    const method = original();
    return function (this: ServerResponse) {
      before(this);
      // biome-ignore lint/complexity/noArguments: as above
      return method.apply(this, arguments as never);
    } as Method;
  });
}

/** Marks the cookie as not set after Node refused the headers, so that the next attempt adds it again. */
function forgetCookies(first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    exchange.cookieSeen = false;
    exchange.visitor = '';
  }
}

/** Differences between the protocols. */
interface Protocol<R extends Response> {
  exchangeOf(response: R): Exchange | undefined;
  /** Starts the exchange of a response that was not announced to the app. */
  beginUnseen(response: R): Exchange | undefined;
  /** Called when Node has accepted the headers. */
  onHeadersFinal(first: Exchange, headers: unknown): void;
}

/** Replaces `writeHead`. */
export function wrapWriteHead<R extends Response>(prototype: object, protocol: Protocol<R>): void {
  wrapMethod<Method>(prototype, 'writeHead', (original) => {
    const method = original();
    return function (this: R, status: unknown, reason: unknown, headers: unknown) {
      const first = enterHead(this, protocol);
      // biome-ignore lint/complexity/noArguments: as above
      if (first === undefined) return method.apply(this, arguments as never);
      const isSecond = typeof reason === 'object' && reason !== null && (headers ?? null) === null;
      const given = isSecond ? reason : headers;
      const prepared = prepareHead(first, given);
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
      protocol.onHeadersFinal(first, prepared);
      return result;
    } as Method;
  });
}
