import type { Request } from './exchange.ts';
import type { HeaderFields } from './headers.ts';

/**
 * Returns the number of body bytes of a request, or -1 if it is unknown: nothing announces it, as for a chunked body.
 * A client that did not send the whole announced body has sent no more than its connection has received.
 */
export function receivedBytes(request: Request, sent: HeaderFields): number {
  if (sent.contentLength !== '' && sent.transferEncoding === '') {
    const length = Number(sent.contentLength);
    if (!Number.isSafeInteger(length) || length < 0) return -1;
    if (length === 0 || request.complete) return length;
    return 'stream' in request ? -1 : Math.min(length, request.socket.bytesRead);
  }
  if (sent.transferEncoding !== '') return -1;
  // A body in HTTP/2 needs neither header.
  const isWithoutBody = request.httpVersionMajor < 2 || request.method === 'GET' || request.method === 'HEAD';
  return isWithoutBody ? 0 : -1;
}
