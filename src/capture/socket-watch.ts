import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type Connection,
  connectionOf,
  type Exchange,
  exchangeOf,
  failAll,
  markAnswered,
} from './exchange.ts';
import { SocketResponse } from './socket-response.ts';

/*
 * Watches what is written to the sockets of HTTP/1 without a ServerResponse: handshakes of WebSockets, answers to
 * CONNECT, handlers that answer by `request.socket`, and Node's own answers to broken or late requests. `write` and
 * `end` are own properties of each socket, and are removed when the connection leaves HTTP.
 */

type Write = (this: Duplex, chunk: unknown, encoding: unknown, callback: unknown) => unknown;
type Socket = Duplex & { _httpMessage?: ServerResponse | null };

/** The app's own `write` or `end` of a socket, which ours stands before. */
const originals = new WeakMap<
  object,
  { write: PropertyDescriptor | undefined; end: PropertyDescriptor | undefined }
>();

export function watchSocket(connection: Connection): void {
  if (connection.watched) return;
  const socket: Duplex = connection.socket;
  // The socket of an injected request is an imitation.
  if (typeof socket.write !== 'function' || typeof socket.end !== 'function') return;
  if (!Object.isExtensible(socket)) return;
  connection.watched = true;
  const write = Object.getOwnPropertyDescriptor(socket, 'write');
  const end = Object.getOwnPropertyDescriptor(socket, 'end');
  if (write !== undefined || end !== undefined) originals.set(socket, { write, end });
  Object.defineProperty(socket, 'write', { ...HIDDEN, value: watchedWrite });
  Object.defineProperty(socket, 'end', { ...HIDDEN, value: watchedEnd });
}

/** Gives a socket its methods back, unless somebody has replaced ours since. */
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
  // What an app puts on another socket by itself has no connection of ours.
  if (connection !== undefined && mayAnswer(connection)) look(connection, chunk, encoding, false);
  // biome-ignore lint/complexity/noArguments: what is replaced is called with what was given, and no more
  return original.apply(this, arguments as never);
}

function watchedEnd(this: Duplex, chunk: unknown, encoding: unknown, _callback: unknown): unknown {
  const connection = connectionOf(this);
  const original = originalOf(this, 'end');
  if (connection !== undefined && mayAnswer(connection)) look(connection, chunk, encoding, true);
  // biome-ignore lint/complexity/noArguments: what is replaced is called with what was given, and no more
  return original.apply(this, arguments as never);
}

function originalOf(socket: Duplex, name: 'write' | 'end'): Write {
  return (originals.get(socket)?.[name]?.value ?? Object.getPrototypeOf(socket)[name]) as Write;
}

/** The cheap half of the question: `false` for nearly every write of a ServerResponse. */
function mayAnswer(connection: Connection): boolean {
  const { exchange } = connection;
  if (exchange.response !== undefined) return !exchange.active && !exchange.begun;
  return connection.hasOthers;
}

function look(connection: Connection, chunk: unknown, encoding: unknown, isEnd: boolean): void {
  const exchange = answeredExchange(connection);
  if (exchange === undefined || exchange.active || exchange.begun || exchange.refused) return;
  const hasChunk = chunk !== undefined && chunk !== null && typeof chunk !== 'function';
  if (!hasChunk && exchange.socketResponse === undefined) return;
  try {
    exchange.socketResponse ??= new SocketResponse(exchange.request.method);
    const response = exchange.socketResponse;
    if (hasChunk) response.read(chunk, encoding);
    // Node answers 400 to a client that left in the middle of its request.
    if (response.isNodesOwn && connection.socket.readableEnded) {
      exchange.socketResponse = undefined;
      return;
    }
    // It was switched before anybody looked, and this is the other protocol already.
    if (!response.isHttp && exchange === connection.upgrade) answer(exchange, switchedStatus(exchange), 0);
    else if (response.status !== 0 && (response.isComplete || isEnd)) {
      answer(exchange, response.status, response.bytes);
      if (response.isSwitched) unwatchSocket(connection);
    }
  } catch (error) {
    failAll(exchange, error);
  }
}

/** The exchange that a write to the socket answers. */
function answeredExchange(connection: Connection): Exchange | undefined {
  const message = (connection.socket as Socket)._httpMessage;
  const { upgrade, exchange } = connection;
  if (upgrade?.response !== undefined) {
    // An earlier response on the same connection may still be under way.
    const isOther = message && message.req !== upgrade.request && !message.writableEnded;
    return isOther ? undefined : upgrade;
  }
  if (exchange.response !== undefined) return exchange;
  return message ? exchangeOf(message) : undefined;
}

/** Records the response of every TrackUsage that sees the exchange. */
export function answer(first: Exchange, status: number, bytes: number): void {
  if (first.response) markAnswered(first.response);
  for (let exchange: Exchange | undefined = first; exchange; ) {
    const { next }: Exchange = exchange;
    exchange.capture.completeBySocket(exchange, status, bytes);
    exchange = next;
  }
}

/** The status with which a request leaves HTTP. */
export function switchedStatus({ request }: Exchange): number {
  return request.method === 'CONNECT' ? 200 : 101;
}
