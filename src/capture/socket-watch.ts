import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type Connection,
  connectionOf,
  type Exchange,
  exchangeOf,
  failAll,
  isAnswered,
  markAnswered,
} from './exchange.ts';
import { SocketResponse } from './socket-response.ts';

/*
 * Watches bytes written to HTTP/1 sockets without a ServerResponse: WebSocket handshakes, responses to
 * CONNECT, responses through `request.socket`, and Node's own responses to malformed or late requests.
 * `write` and `end` become own properties of each socket, and are removed when the connection switches
 * protocols.
 */

type Write = (this: Duplex, chunk: unknown, encoding: unknown, callback: unknown) => unknown;
/** Response whose turn it is on its connection. `_headerSent` is true once its headers are with the socket. */
type CurrentResponse = ServerResponse & { _headerSent: boolean };
type Socket = Duplex & { _httpMessage?: CurrentResponse | null };

/** The app's own `write` or `end` of a socket, which ours calls. */
const originals = new WeakMap<
  object,
  { write: PropertyDescriptor | undefined; end: PropertyDescriptor | undefined }
>();

export function watchSocket(connection: Connection): void {
  if (connection.watched) return;
  const socket: Duplex = connection.socket;
  // The socket of an injected request is a mock.
  if (typeof socket.write !== 'function' || typeof socket.end !== 'function') return;
  if (!Object.isExtensible(socket)) return;
  connection.watched = true;
  const write = Object.getOwnPropertyDescriptor(socket, 'write');
  const end = Object.getOwnPropertyDescriptor(socket, 'end');
  if (write !== undefined || end !== undefined) originals.set(socket, { write, end });
  Object.defineProperty(socket, 'write', { ...HIDDEN, value: watchedWrite });
  Object.defineProperty(socket, 'end', { ...HIDDEN, value: watchedEnd });
}

/** Restores a socket's methods, unless ours have been replaced since. */
export function unwatchSocket(connection: Connection): void {
  const socket: Duplex = connection.socket;
  if (socket.write !== watchedWrite || socket.end !== watchedEnd) return;
  connection.watched = false;
  const { write, end } = originals.get(socket) ?? {};
  originals.delete(socket);
  restore(socket, 'write', write);
  restore(socket, 'end', end);
}

const HIDDEN = { configurable: true, writable: true, enumerable: false };

function restore(socket: Duplex, name: 'write' | 'end', own: PropertyDescriptor | undefined): void {
  if (own === undefined) Reflect.deleteProperty(socket, name);
  else Object.defineProperty(socket, name, own);
}

function watchedWrite(this: Duplex, chunk: unknown, encoding: unknown, _callback: unknown): unknown {
  const connection = connectionOf(this);
  const original = originalOf(this, 'write');
  // A socket that the app copied our methods to has no connection.
  if (connection !== undefined && mayAnswer(connection)) inspect(connection, chunk, encoding, false);
  // biome-ignore lint/complexity/noArguments: the original gets exactly the arguments that were passed
  return original.apply(this, arguments as never);
}

function watchedEnd(this: Duplex, chunk: unknown, encoding: unknown, _callback: unknown): unknown {
  const connection = connectionOf(this);
  const original = originalOf(this, 'end');
  if (connection !== undefined && mayAnswer(connection)) inspect(connection, chunk, encoding, true);
  // biome-ignore lint/complexity/noArguments: the original gets exactly the arguments that were passed
  return original.apply(this, arguments as never);
}

function originalOf(socket: Duplex, name: 'write' | 'end'): Write {
  return (originals.get(socket)?.[name]?.value ?? Object.getPrototypeOf(socket)[name]) as Write;
}

/** Cheap first check. Returns false for nearly every write of a ServerResponse. */
function mayAnswer(connection: Connection): boolean {
  const { exchange } = connection;
  if (exchange.response !== undefined) return !exchange.active && !exchange.begun;
  return connection.hasOthers;
}

function inspect(connection: Connection, chunk: unknown, encoding: unknown, isEnd: boolean): void {
  const exchange = answeredExchange(connection);
  if (exchange === undefined || exchange.active || exchange.begun || exchange.refused) return;
  const hasChunk = chunk !== undefined && chunk !== null && typeof chunk !== 'function';
  if (!hasChunk && exchange.socketResponse === undefined) return;
  try {
    exchange.socketResponse ??= new SocketResponse(exchange.request.method);
    const response = exchange.socketResponse;
    if (hasChunk) response.read(chunk, encoding);
    // Node sends 400 to a client that left in the middle of its request.
    if (response.isNodesOwn && connection.socket.readableEnded) {
      exchange.socketResponse = undefined;
      return;
    }
    // The connection switched protocols before it was watched.
    if (!response.isHttp && exchange === connection.upgrade) answer(exchange, switchedStatus(exchange), 0);
    else if (response.status !== 0 && (response.isComplete || isEnd)) {
      answer(exchange, response.status, response.bytes);
      if (response.isSwitched) unwatchSocket(connection);
    }
  } catch (error) {
    failAll(exchange, error);
  }
}

/** Returns the exchange that a write to the socket responds to. */
function answeredExchange(connection: Connection): Exchange | undefined {
  const message = (connection.socket as Socket)._httpMessage;
  const { upgrade, exchange } = connection;
  if (upgrade?.response !== undefined) {
    // The bytes belong to an earlier response if one is being sent. An earlier response that has sent nothing
    // does not prevent the app from responding to the upgrade.
    const isOther =
      message && message.req !== upgrade.request && message._headerSent && !message.writableEnded;
    return isOther ? undefined : upgrade;
  }
  if (exchange.response !== undefined) return exchange;
  if (!message) return undefined;
  // Clients assign responses to pipelined requests in order. After bytes written to the socket have answered
  // the current request, its response object answers the next one.
  return exchangeOf(message) ?? (isAnswered(message) ? connection.oldestWaiting : undefined);
}

/** Records the response in every TrackUsage that tracks the exchange. */
export function answer(first: Exchange, status: number, bytes: number): void {
  if (first.response) markAnswered(first.response);
  for (let exchange: Exchange | undefined = first; exchange; ) {
    const { next }: Exchange = exchange;
    exchange.capture.completeBySocket(exchange, status, bytes);
    exchange = next;
  }
}

/** Returns the status of a response that switches protocols. */
export function switchedStatus({ request }: Exchange): number {
  return request.method === 'CONNECT' ? 200 : 101;
}
