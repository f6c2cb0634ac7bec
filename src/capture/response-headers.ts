import { OutgoingMessage } from 'node:http';
import type { Response } from './exchange.ts';

const { getHeader, getHeaderNames, setHeader: setHeaderOf } = OutgoingMessage.prototype;

/** The Content-Length that a response will have. `headers` are those given to `writeHead`, which win. */
export function declaredLength(response: Response, headers: unknown): number | undefined {
  const value = headerIn(headers, 'content-length') ?? headerOf(response, 'content-length');
  const length = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN;
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined;
}

/** A header that was set; of a response of HTTP/1 as Node itself reads it, whatever the app made of `getHeader`. */
export function headerOf(response: Response, name: string): unknown {
  return 'stream' in response ? response.getHeader(name) : getHeader.call(response, name);
}

/** Whether any was set. */
export function hasHeaders(response: Response): boolean {
  return ('stream' in response ? response.getHeaderNames() : getHeaderNames.call(response)).length > 0;
}

/** Sets a header of ours in the same way. */
export function setHeader(response: Response, name: string, value: string | string[]): void {
  if ('stream' in response) response.setHeader(name, value);
  else setHeaderOf.call(response, name, value);
}

/**
 * A header among those given to `writeHead`: an object, a flat list, or a list of pairs. What is none of them is for
 * Node to refuse.
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
