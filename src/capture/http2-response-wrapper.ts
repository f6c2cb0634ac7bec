import { fstatSync } from 'node:fs';
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2';
import { types } from 'node:util';
import { wrapMethod } from '../platform/wrap-method.ts';
import { type Exchange, exchangeOfStream, failAll } from './exchange.ts';
import { textOf } from './response-headers.ts';
import { lengthOf, wrapWriteHead } from './response-wrapper.ts';
import { beginUnseenHttp2 } from './unseen.ts';

/*
 * Wraps HTTP/2 streams. Every HTTP/2 response ends with the `end` of its stream: in the compatibility API,
 * through `response.stream`, and for files, for which Node calls it before the headers are sent. A response
 * without a body ends in the same way, after its headers were checked. So bytes are counted and the record is
 * created at the stream.
 */

type Stream = ServerHttp2Stream & { _final: unknown };

/** Range of an open file that a stream sends. */
interface FilePart {
  fd: unknown;
  offset: number;
  length: number;
}

const files = new WeakMap<object, FilePart>();

let wrapped = false;

/** Wraps the methods of HTTP/2 responses and streams. Idempotent. */
export function wrapHttp2({ stream }: Http2ServerResponse): void {
  if (wrapped) return;
  const streams = Object.getPrototypeOf(stream);
  // An app may have stored anything there, and the class is not exported.
  if (streams.constructor?.name !== 'ServerHttp2Stream') return;
  wrapped = true;
  // Not imported, so that an app without HTTP/2 does not load it.
  const { Http2ServerResponse } = process.getBuiltinModule('node:http2');
  wrapWriteHead<Http2ServerResponse>(Http2ServerResponse.prototype, {
    exchangeOf: (response) => exchangeOfStream(response.stream),
    beginUnseen: beginUnseenHttp2,
    onHeadersFinal: () => {},
  });
  wrap(streams, 'write', beforeWrite, afterWrite);
  wrap(streams, 'end', beforeEnd, afterEnd);
  wrap(streams, 'respond', () => 0, afterRespond);
  wrap(streams, 'respondWithFD', beforeFile, () => {});
}

type Given = [first: unknown, second: unknown, third: unknown];
/** Returns the number of bytes of the call, or `undefined` if there is nothing to do after it. */
type Before = (stream: Stream, first: Exchange, given: Given) => number | undefined;
type After = (stream: Stream, first: Exchange, bytes: number) => void;

/** Wraps a method of streams with functions that run before and after it, and never throw. */
function wrap(prototype: object, name: string, before: Before, after: After): void {
  wrapMethod<(...given: unknown[]) => unknown>(prototype, name, (original) => {
    return function (this: Stream, one: unknown, two: unknown, three: unknown) {
      const first = exchangeOfStream(this);
      const bytes = first && guarded(first, () => before(this, first, [one, two, three]));
      // biome-ignore lint/complexity/noArguments: the original gets exactly the arguments that were passed
      const result = original().apply(this, arguments as never);
      if (first !== undefined && bytes !== undefined) guarded(first, () => after(this, first, bytes));
      return result;
    };
  });
}

function guarded<T>(first: Exchange, run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    failAll(first, error);
    return undefined;
  }
}

function beforeWrite(stream: Stream, first: Exchange, [chunk, encoding]: Given): number | undefined {
  const bytes = bytesOf(chunk, encoding);
  if (bytes === undefined || !isOpen(stream)) return undefined;
  readHeaders(stream, first);
  const { declared } = first;
  if (bytes > 0 && declared !== undefined && first.bytes + bytes >= declared) {
    complete(stream, first, first.bytes + bytes);
  }
  return bytes;
}

function afterWrite(_stream: Stream, first: Exchange, bytes: number): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next)
    exchange.bytes += bytes;
}

function beforeEnd(stream: Stream, first: Exchange, [chunk, encoding]: Given): number | undefined {
  // Node also ends a stream that is reset.
  if (!isOpen(stream)) return undefined;
  readHeaders(stream, first);
  const hasChunk = chunk !== undefined && chunk !== null && typeof chunk !== 'function';
  const length = hasChunk ? bytesOf(chunk, encoding) : 0;
  if (length === undefined) return undefined;
  // Node refuses all other chunk types.
  if (hasChunk && typeof chunk !== 'string' && !types.isUint8Array(chunk)) return length;
  const isFile = stream._final === null;
  const bytes = isFile ? fileLength(stream, first) : length;
  // Without headers, an `end` without a chunk sends nothing.
  if (first.begun || hasChunk) complete(stream, first, first.bytes + bytes);
  return undefined;
}

/** Called after Node has accepted the chunk. */
function afterEnd(stream: Stream, first: Exchange, bytes: number): void {
  readHeaders(stream, first);
  if (first.response !== undefined && stream.writableEnded) complete(stream, first, first.bytes + bytes);
}

/** Returns the size of a chunk. A stream accepts any view of bytes. */
function bytesOf(chunk: unknown, encoding: unknown): number | undefined {
  const length = lengthOf(chunk, encoding);
  return length === 0 && ArrayBuffer.isView(chunk) ? chunk.byteLength : length;
}

/** Called when a tunnel opens, which may stay open for hours. */
function afterRespond(stream: Stream, first: Exchange): void {
  if (first.request.method !== 'CONNECT' || !isOpen(stream)) return;
  readHeaders(stream, first);
  if (first.status < 300) complete(stream, first, 0);
}

function beforeFile(stream: Stream, _first: Exchange, [fd, , options]: Given): undefined {
  const { offset = 0, length = -1 } = (options ?? {}) as Partial<FilePart>;
  files.set(stream, { fd, offset, length });
  return undefined;
}

/** Returns true if the stream is writable and not being reset. */
function isOpen(stream: Stream): boolean {
  return stream.writable && !stream.closed && !stream.destroyed;
}

/** Records the headers' values after they were sent. */
export function readHeaders(stream: ServerHttp2Stream, first: Exchange): void {
  if (first.begun || !stream.headersSent) return;
  const {
    ':status': status = 200,
    'content-length': length,
    'content-type': type,
  } = stream.sentHeaders ?? {};
  const contentType = textOf(type);
  const declared = length === undefined ? Number.NaN : Number(length);
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    exchange.begun = true;
    exchange.status = Number(status);
    exchange.contentType = contentType;
    exchange.declared = Number.isSafeInteger(declared) && declared >= 0 ? declared : undefined;
  }
}

function complete(stream: Stream, first: Exchange, bytes: number): void {
  for (let exchange: Exchange | undefined = first; exchange; ) {
    const { next }: Exchange = exchange;
    // A body without explicit headers is sent with Node's default headers.
    if (!stream.headersSent) exchange.status = 200;
    if (exchange.response !== undefined) exchange.capture.complete(exchange, bytes);
    exchange = next;
  }
}

/** Returns the length of a file that Node sends by itself. */
function fileLength(stream: Stream, { declared }: Exchange): number {
  if (declared !== undefined) return declared;
  const part = files.get(stream);
  if (part === undefined) return 0;
  const fd = typeof part.fd === 'number' ? part.fd : (part.fd as { fd: number }).fd;
  try {
    const stat = fstatSync(fd);
    const rest = stat.isFile() ? Math.max(0, stat.size - Math.max(0, part.offset)) : 0;
    return part.length < 0 ? rest : Math.min(part.length, rest);
  } catch {
    // The descriptor is not a regular file, so its length is unknown.
    return 0;
  }
}
