import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { etag } from 'etag';
import fresh from 'fresh';
import { clearTimeout, setTimeout } from '../clock.ts';
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
      const stalled = setTimeout(() => response.destroy(), timeout);
      stalled.unref();
      try {
        yield piece.value;
      } finally {
        clearTimeout(stalled);
      }
    }
  }
  // A client that leaves, or a storage that fails in the middle, ends the download: it is not taken for a whole one.
  await pipeline(all(), response).catch(() => response.destroy());
  await pieces.return(undefined).catch(() => {});
}

export function redirect(response: ServerResponse, location: string): void {
  response.writeHead(303, { location, 'cache-control': 'no-store', 'content-length': 0 }).end();
}
