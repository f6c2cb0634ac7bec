import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, relative, sep } from 'node:path';
import { etag } from 'etag';
import fresh from 'fresh';
import Negotiator from 'negotiator';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.woff2': 'font/woff2',
};
/** Compressed versions that may exist beside a file, smallest first. */
const ENCODINGS = { br: '.br', gzip: '.gz' } as const;
type Encoding = keyof typeof ENCODINGS;

/** Files of a directory, by their path, for example `/index.html`. */
export type Files = ReadonlyMap<string, Buffer>;

/**
 * Reads all files once. A path that was not read is not served, whatever it contains. The app also continues
 * to work while its packages are replaced on disk.
 */
export async function readFiles(directory: string): Promise<Files> {
  // A package without its dashboard still has the API.
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const named = (path: string) => `/${relative(directory, path).split(sep).join('/')}`;
  return new Map(await Promise.all(paths.map(async (path) => [named(path), await readFile(path)] as const)));
}

/** Sends a file. Returns false if there is none. */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  files: Files,
  path: string,
): boolean {
  const name = path === '/' ? '/index.html' : path;
  const type = TYPES[extname(name)];
  const plain = files.get(name);
  if (plain === undefined || type === undefined) return false;
  const encoding = encodingOf(request, files, name);
  const body = encoding === undefined ? plain : files.get(name + ENCODINGS[encoding])!;
  const tag = etag(body);
  response.setHeader('vary', 'accept-encoding');
  response.setHeader('etag', tag);
  // Files with a hash in their name never change.
  const isHashed = /-[\w-]{8}\.\w+$/.test(name);
  response.setHeader('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
  if (fresh(request.headers, { etag: tag })) {
    response.writeHead(304).end();
    return true;
  }
  response.writeHead(200, {
    'content-type': type,
    'content-length': body.length,
    ...(encoding !== undefined && { 'content-encoding': encoding }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
  return true;
}

function encodingOf(request: IncomingMessage, files: Files, name: string): Encoding | undefined {
  const there = (Object.keys(ENCODINGS) as Encoding[]).filter((encoding) =>
    files.has(name + ENCODINGS[encoding]),
  );
  const accepted = new Negotiator(request).encodings([...there, 'identity']);
  return there.find((encoding) => accepted.includes(encoding));
}
