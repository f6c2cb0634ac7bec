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
 * A download, as CSV or NDJSON.
 * @param timeout How long a client may take to read a piece. In ms.
 */
export async function sendLines(
  request: IncomingMessage,
  response: ServerResponse,
  lines: Lines,
  format: string,
  timeout: number,
): Promise<void> {
  const pieces = format === 'csv' ? csvOf(lines) : ndjsonOf(lines);
  // What is wrong shows at the first piece, while there can still be another answer.
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
      // Who does not read on keeps its place no longer than that.
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
  async function* told() {
    try {
      yield* all();
    } catch (error) {
      failure = { error };
      // Before the pipeline destroys the response, which some clients would take for its end.
      breakOff(response);
      throw error;
    }
  }
  // A client that leaves ends the download as well.
  await pipeline(told(), response).catch(() => breakOff(response));
  await pieces.return(undefined).catch(() => {});
  if (failure) throw failure.error;
}

/**
 * Ends a response in the middle so that no client takes it for a whole one: with HTTP/1.0 the end of the connection is
 * the end of the body, unless the connection is reset; with HTTP/2 the stream is.
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
    // Not a TCP socket: TLS tells an end from a lost connection by itself.
  }
  response.destroy();
}

export function redirect(response: ServerResponse, location: string): void {
  response.writeHead(303, { location, 'cache-control': 'no-store', 'content-length': 0 }).end();
}
