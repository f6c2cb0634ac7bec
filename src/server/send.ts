import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import { pipeline } from 'node:stream/promises';
import { etag } from 'etag';
import fresh from 'fresh';
import { clearTimeout, setTimeout } from '../platform/clock.ts';
import { csvOf, type Lines, ndjsonOf } from './export.ts';

export function sendJson(request: IncomingMessage, response: ServerResponse, answer: unknown): void {
  const body = JSON.stringify(answer);
  const tag = etag(body);
  response.setHeader('etag', tag);
  response.setHeader('cache-control', 'private, no-cache');
  if (fresh(request.headers, { etag: tag })) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/**
 * Sends a download, as CSV or NDJSON.
 * @param timeout Maximum time that a client may take to read a chunk. In ms.
 */
export async function sendLines(
  request: IncomingMessage,
  response: ServerResponse,
  lines: Lines,
  format: string,
  timeout: number,
): Promise<void> {
  const pieces = format === 'csv' ? csvOf(lines) : ndjsonOf(lines);
  // An error usually occurs at the first chunk, while another response is still possible.
  const first = await pieces.next();
  response.writeHead(200, {
    'content-type':
      format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson; charset=utf-8',
    'content-disposition': `attachment; filename="${lines.name}.${format}"`,
    'cache-control': 'no-store',
  });
  if (request.method === 'HEAD') {
    response.end();
    await pieces.return(undefined);
    return;
  }
  async function* all() {
    for (let piece = first; !piece.done; piece = await pieces.next()) {
      // Limits how long a client that stops reading occupies its slot.
      const stalled = setTimeout(() => breakOff(response), timeout);
      stalled.unref();
      try {
        yield piece.value;
      } finally {
        clearTimeout(stalled);
      }
    }
  }
  let failure: { error: unknown } | undefined;
  async function* breakingOff() {
    try {
      yield* all();
    } catch (error) {
      failure = { error };
      // Called before the pipeline destroys the response, which some clients would take for its normal end.
      breakOff(response);
      throw error;
    }
  }
  // A client that disconnects ends the download as well.
  await pipeline(breakingOff(), response).catch(() => breakOff(response));
  await pieces.return(undefined).catch(() => {});
  if (failure) throw failure.error;
}

/**
 * Interrupts a response so that no client takes it for complete. In HTTP/1.0 the end of the connection is the
 * end of the body, so the connection is reset. In HTTP/2 the stream is reset.
 */
export function breakOff(response: ServerResponse): void {
  const { stream } = response as unknown as Partial<Http2ServerResponse>;
  if (stream) {
    if (!stream.destroyed) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    return;
  }
  try {
    response.socket?.resetAndDestroy();
  } catch {
    // Not a TCP socket. TLS itself distinguishes an end from a lost connection.
  }
  response.destroy();
}

export function redirect(response: ServerResponse, location: string): void {
  response.writeHead(303, { location, 'cache-control': 'no-store', 'content-length': 0 }).end();
}
