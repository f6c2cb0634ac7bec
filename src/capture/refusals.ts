import type { ServerResponse } from 'node:http';
import type { Exchange } from './exchange.ts';

/**
 * Returns whether Node's server created the response. Frameworks create others for the same request by hand.
 */
export function isMadeByNode(response: object): boolean {
  return Object.hasOwn(response, '_maxRequestsPerSocket');
}

/** Returns whether the response waits behind another on its connection. Node may never send its output. */
export function isWaiting(response: ServerResponse): boolean {
  return response.socket === null && isMadeByNode(response);
}

/** Internal state of Node's responses. */
interface Internals {
  _contentLength: unknown;
  _hasBody: boolean;
  _removedContLen: boolean;
  [key: symbol]: unknown;
}

/**
 * Returns whether output passed to the socket stays in its buffer. An `end` that throws leaves the socket
 * corked until another one succeeds.
 */
export function isRefused(response: ServerResponse, first: Exchange): boolean {
  if (first.ending && response.strictContentLength && isMismatch(response)) markRefused(first);
  else if (first.ending) return false;
  return first.refused;
}

export function markRefused(first: Exchange): void {
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next)
    exchange.refused = true;
}

/**
 * Returns whether the body differs from its Content-Length. Node compares them with `strictContentLength`, if
 * the length is known when the headers are written.
 */
function isMismatch(response: ServerResponse): boolean {
  const internals = response as unknown as Internals;
  const { _contentLength: length, _hasBody: hasBody, _removedContLen: isRemoved } = internals;
  if (length === null || length === undefined || !hasBody || isRemoved || response.chunkedEncoding)
    return false;
  if (response.hasHeader('transfer-encoding')) return false;
  const written = Object.getOwnPropertySymbols(response).find(
    ({ description }) => description === 'kBytesWritten',
  );
  return written !== undefined && internals[written] !== length;
}
