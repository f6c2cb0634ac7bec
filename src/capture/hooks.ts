import { Buffer } from 'node:buffer';
import { OutgoingMessage, ServerResponse } from 'node:http';
import { types } from 'node:util';
import { wrapMethod } from '../platform/wrap-method.ts';
import { type Exchange, exchangeOf, failAll, type Response } from './exchange.ts';
import { isRefused, isWaiting, markRefused } from './refusals.ts';
import { declaredLength } from './response-headers.ts';
import { beginUnseen } from './unseen.ts';

/*
 * The methods that send a response, wrapped once for the whole process: the wrapper of a response that nobody
 * tracks costs one property lookup. Middleware that replaces these methods on its response (compression, say)
 * calls ours in the end, so that what we see is what Node gets. Each is wrapped on the prototype that has it, so that
 * who wraps it there later, or wrapped it before, is called as without us.
 *
 * A record is made before the bytes that complete its response are handed to Node's socket, and after everything
 * that Node may refuse: `write` and `end` check their arguments, the headers and the length of the body first, and
 * then call `_send`, which hands on the headers too. What was refused never gets there.
 *
 * Requests and responses are the app's too, which may replace anything on them. All that is read of them here is
 * read inside of `try`: what throws costs the record, never the response.
 */

const { byteLength, isEncoding } = Buffer;

/** The bytes that Node will count for a chunk; `undefined` where the stream refuses the encoding, of any chunk. */
export function lengthOf(chunk: unknown, encoding: unknown): number | undefined {
  const named = typeof encoding === 'function' ? undefined : encoding;
  if (named && named !== 'buffer' && !isEncoding(named as string)) return undefined;
  if (typeof chunk === 'string') return byteLength(chunk, (named || 'utf8') as BufferEncoding);
  return types.isUint8Array(chunk) ? chunk.byteLength : 0;
}

/** Returns true if the response has no body, regardless of what the app writes (RFC 9110 §6.4.1). */
function isBodyless(response: Response, exchange: Exchange): boolean {
  // Node decides by the first status that `writeHead` was given, even when it refused the headers.
  if ((response as { _hasBody?: boolean })._hasBody === false) return true;
  const status = exchange.status || response.statusCode;
  return status === 204 || status === 304 || status < 200 || exchange.request.method === 'HEAD';
}

/** Completes the exchanges of the response that end with the current write. */
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

/** Notes what is sent in this call. */
function open(first: Exchange, bytes: number, ending: boolean): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    exchange.active = true;
    exchange.sending = bytes;
    exchange.ending = ending;
  }
}

/** The call is over: what was sent is sent, unless it threw. */
function close(response: Response, first: Exchange, sent: boolean): void {
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

/** Returns true if the output reaches nobody: the connection is gone or half-closed, and 'close' is still to come. */
function isGone(response: ServerResponse, { connection }: Exchange): boolean {
  return response.destroyed || connection?.socket.writable === false;
}

/** Runs before a call that sends; `undefined` if there is nothing to note, as in a nested call. */
function enter(response: ServerResponse, isEnd: boolean, chunk: unknown, encoding: unknown) {
  let first: Exchange | undefined;
  try {
    first = exchangeOf(response);
    if (first === undefined || first.active || isGone(response, first)) return undefined;
    // An end without a chunk has no use for an encoding.
    const bytes = isEnd && !chunk ? 0 : lengthOf(chunk, encoding);
    open(first, bytes ?? 0, isEnd && bytes !== undefined);
    if (isEnd && bytes === undefined) markRefused(first);
    // Node corks the socket first, and leaves it so when it throws.
    if (isEnd) first.corking = Boolean(chunk) || !response.headersSent;
    return first;
  } catch (error) {
    failAll(first, error);
    return undefined;
  }
}

/** After it. */
function leave(first: Exchange, response: ServerResponse, isEnd: boolean, sent: boolean): void {
  try {
    if (sent && isEnd && first.response === response && response.writableEnded) {
      if (isWaiting(response)) markEnded(first);
      // An end that had nothing more to send.
      else completeIfDone(response, first);
    }
    if (!sent && isEnd && first.corking) markRefused(first);
    close(response, first, sent);
  } catch (error) {
    failAll(first, error);
  }
}

function markEnded(first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) exchange.ended = true;
}

/** The headers go out, and perhaps all of the response. */
function beginSending(response: ServerResponse, first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) exchange.begun = true;
  completeIfDone(response, first);
}

/** Node hands something on to the socket, where the response has one. */
function output(outgoing: ServerResponse): void {
  let first: Exchange | undefined;
  try {
    first = exchangeOf(outgoing);
    const response = first?.response as ServerResponse | undefined;
    if (first === undefined || response === undefined) return;
    if (isWaiting(response) || isGone(response, first) || isRefused(response, first)) return;
    beginSending(response, first);
  } catch (error) {
    failAll(first, error);
  }
}

/** Runs when Node sends the output that it buffered while the response waited behind another. */
function flush(outgoing: ServerResponse): void {
  let first: Exchange | undefined;
  try {
    first = exchangeOf(outgoing);
    const response = first?.response as ServerResponse | undefined;
    if (first === undefined || response === undefined) return;
    if (!first.active && !isGone(response, first)) beginSending(response, first);
  } catch (error) {
    failAll(first, error);
  }
}

/** Runs before `writeHead`; `undefined` if there is nothing to do. */
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

/** The headers to pass to `writeHead`: those of the app, and the visitor's cookie if it belongs there. */
function prepareHead(first: Exchange, given: unknown): unknown {
  try {
    return beforeHeaders(first, given);
  } catch (error) {
    failAll(first, error);
    return given;
  }
}

/** Runs after `writeHead` in HTTP/1, when the headers are final. */
function headIsMade(first: Exchange, headers: unknown): void {
  try {
    const response = first.response as ServerResponse | undefined;
    if (response === undefined) return;
    // A body in chunks ends with its last one. The length of one that comes with `end` is Node's to tell.
    const isOpen = first.ending || response.chunkedEncoding;
    const declared = isOpen ? undefined : declaredLength(response, headers);
    for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
      exchange.status = response.statusCode;
      exchange.declared = declared;
    }
  } catch (error) {
    failAll(first, error);
  }
}

/** Adds the visitor's cookie before the headers are made. Returns the arguments for `writeHead`. */
function beforeHeaders(first: Exchange, given: unknown): unknown {
  let headers = given;
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    headers = exchange.capture.prepareHeaders(exchange, headers);
  }
  return headers;
}

let hooked = false;

/** Wraps the methods of HTTP/1 responses; once, however often it is called. */
export function hookServerResponse(): void {
  if (hooked) return;
  hooked = true;
  hookHead(ServerResponse.prototype, { exchangeOf, beginUnseen, headIsMade });
  for (const name of ['write', 'end'] as const) {
    hookSending(OutgoingMessage.prototype, name);
    // Who wrapped it on responses before does not call what is on the other prototype now.
    if (Object.hasOwn(ServerResponse.prototype, name)) hookSending(ServerResponse.prototype, name);
  }
  hookOutput('_send', output);
  hookOutput('_flushOutput', (outgoing) => {
    if ((outgoing as unknown as { outputData: unknown[] }).outputData.length > 0) flush(outgoing);
  });
}

type Method = (...given: unknown[]) => unknown;

/** Replaces `write` or `end`. */
function hookSending(prototype: object, name: 'write' | 'end'): void {
  const isEnd = name === 'end';
  wrapMethod<Method>(prototype, name, (original) => {
    const method = original();
    return function (this: ServerResponse, chunk: unknown, encoding: unknown, _callback: unknown) {
      const first = enter(this, isEnd, chunk, encoding);
      // biome-ignore lint/complexity/noArguments: what is replaced is called with what was given, and no more
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

/** Has `before` called before a method by which Node hands on what is sent. */
function hookOutput(name: '_send' | '_flushOutput', before: (response: ServerResponse) => void): void {
  wrapMethod<Method>(OutgoingMessage.prototype, name, (original) => {
    const method = original();
    return function (this: ServerResponse) {
      before(this);
      // biome-ignore lint/complexity/noArguments: as above
      return method.apply(this, arguments as never);
    } as Method;
  });
}

/** Forgets a cookie in headers that Node refused, so that the next attempt adds it again. */
function forgetCookies(first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    exchange.cookieSeen = false;
    exchange.visitor = '';
  }
}

/** Where the protocols differ. */
interface Protocol<R extends Response> {
  exchangeOf(response: R): Exchange | undefined;
  /** Begins the exchange of a response that was not announced to the app. */
  beginUnseen(response: R): Exchange | undefined;
  /** Called when Node has taken the headers. */
  headIsMade(first: Exchange, headers: unknown): void;
}

/** Replaces `writeHead`. */
export function hookHead<R extends Response>(prototype: object, protocol: Protocol<R>): void {
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
      protocol.headIsMade(first, prepared);
      return result;
    } as Method;
  });
}
