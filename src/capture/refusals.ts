import type { ServerResponse } from 'node:http';
import type { Exchange } from './exchange.ts';

/** Whether Node's server made the response: frameworks make others for the same request, by hand. */
export function isMadeByNode(response: object): boolean {
  return Object.hasOwn(response, '_maxRequestsPerSocket');
}

/** Returns true if the response waits behind another on its connection. Node may never send its output. */
export function isWaiting(response: ServerResponse): boolean {
  return response.socket === null && isMadeByNode(response);
}

/** Own state of Node's responses. */
interface Internals {
  _contentLength: unknown;
  _hasBody: boolean;
  _removedContLen: boolean;
  [key: symbol]: unknown;
}

/**
 * Whether what is handed to the socket now stays in its buffer: an `end` that throws leaves the socket corked, until
 * another one succeeds.
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

/** With `strictContentLength` the body is compared with a Content-Length that is known when the headers are made. */
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
