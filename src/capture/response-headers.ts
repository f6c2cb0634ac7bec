import { OutgoingMessage } from 'node:http';
import type { Response } from './exchange.ts';

const { getHeader, getHeaderNames, setHeader: setHeaderOf } = OutgoingMessage.prototype;

/**
 * Returns the Content-Length that a response will have. `headers` are those passed to `writeHead`, which take
 * precedence.
 */
export function declaredLength(response: Response, headers: unknown): number | undefined {
  const value = headerIn(headers, 'content-length') ?? headerOf(response, 'content-length');
  const length = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN;
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined;
}

/** Returns the Content-Type that a response will have, or `''`. `headers` are those passed to `writeHead`. */
export function contentTypeOf(response: Response, headers: unknown): string {
  return textOf(headerIn(headers, 'content-type') ?? headerOf(response, 'content-type'));
}

/** Returns the value of a header that was set once, or `''`. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return Array.isArray(value) && typeof value[0] === 'string' ? value[0] : '';
}

/**
 * Returns a header that was set. Reads an HTTP/1 response as Node itself does, even if the app replaced
 * `getHeader`.
 */
export function headerOf(response: Response, name: string): unknown {
  return 'stream' in response ? response.getHeader(name) : getHeader.call(response, name);
}

/** Returns whether any header was set. */
export function hasHeaders(response: Response): boolean {
  return ('stream' in response ? response.getHeaderNames() : getHeaderNames.call(response)).length > 0;
}

/** Sets a header, bypassing the app's replacements in the same way. */
export function setHeader(response: Response, name: string, value: string | string[]): void {
  if ('stream' in response) response.setHeader(name, value);
  else setHeaderOf.call(response, name, value);
}

/**
 * Returns a header among those passed to `writeHead`: an object, a flat list, or a list of pairs. Node
 * refuses all other types.
 */
export function headerIn(headers: unknown, name: string): unknown {
  if (typeof headers !== 'object' || headers === null) return undefined;
  let found: unknown;
  if (!Array.isArray(headers)) {
    for (const key in headers) {
      if (isName(key, name) && Object.hasOwn(headers, key)) found = (headers as Record<string, unknown>)[key];
    }
  } else if (Array.isArray(headers[0])) {
    for (const pair of headers) if (Array.isArray(pair) && isName(pair[0], name)) found = pair[1];
  } else {
    for (let i = 0; i < headers.length; i += 2) if (isName(headers[i], name)) found = headers[i + 1];
  }
  return found;
}

function isName(key: unknown, name: string): boolean {
  return typeof key === 'string' && key.length === name.length && key.toLowerCase() === name;
}
