import { atOnce } from './at-once.ts';
import type { Exchange, Response } from './exchange.ts';
import { type HeaderFacts, readHeaders } from './headers.ts';
import { headerIn } from './hooks.ts';
import type { CaptureOptions } from './options.ts';
import { firstOf, isTrusted } from './trust.ts';
import { isShareable } from './visitor.ts';

/** Knows visitors by their cookie, and gives one to those who have none. */
export class Cookies {
  readonly #options: CaptureOptions;

  constructor(options: CaptureOptions) {
    this.#options = options;
  }

  /** Decides when the headers are final. Returns the headers to give to `writeHead`. */
  prepareHeaders(exchange: Exchange, headers: unknown): unknown {
    const { cookie, cookieWhen, onError, views } = this.#options;
    if (!cookie || exchange.cookieSeen) return headers;
    exchange.cookieSeen = true;
    try {
      if (!views.tracks(exchange)) return headers;
      const request = exchange.request;
      if (cookieWhen && !atOnce(cookieWhen(request))) return headers;
      const sent = readHeaders(request.rawHeaders);
      const known = cookie.read(sent.cookie);
      if (known !== null) {
        exchange.visitor = known;
        return headers;
      }
      const response = exchange.response!;
      const control = headerIn(headers, 'cache-control') ?? response.getHeader('cache-control');
      if (control !== undefined && isShareable(String(control))) return headers;
      const visitor = cookie.issue();
      const line = cookie.serialize(visitor, this.#isSecure(exchange, sent));
      const result = withCookie(response, headers, line);
      exchange.visitor = visitor;
      return result;
    } catch (error) {
      onError('cookie', error);
      return headers;
    }
  }

  /** The visitor of a request whose response never had headers; `''` where the cookie says none. */
  visitorOf(exchange: Exchange, sent: HeaderFacts): string {
    const { cookie, cookieWhen, onError } = this.#options;
    if (!cookie || exchange.cookieSeen || sent.cookie === '') return '';
    try {
      if (cookieWhen && !atOnce(cookieWhen(exchange.request))) return '';
    } catch (error) {
      onError('cookie', error);
      return '';
    }
    return cookie.read(sent.cookie) ?? '';
  }

  #isSecure(exchange: Exchange, sent: HeaderFacts): boolean {
    if (exchange.connection?.scheme !== 'http://') return true;
    if (sent.forwardedProto === '' || firstOf(sent.forwardedProto) !== 'https') return false;
    return isTrusted(exchange, exchange.connection.address, 0, this.#options.onError);
  }
}

/** Adds a cookie to those that the app sets, wherever it sets them. */
function withCookie(response: Response, headers: unknown, line: string): unknown {
  const given = headerIn(headers, 'set-cookie');
  if (given === undefined) {
    const before = response.getHeader('set-cookie');
    response.setHeader('set-cookie', before === undefined ? line : [before, line].flat().map(String));
    return headers;
  }
  if (Array.isArray(headers)) {
    return Array.isArray(headers[0]) ? [...headers, ['set-cookie', line]] : [...headers, 'set-cookie', line];
  }
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(headers as Record<string, unknown>)) {
    if (name.toLowerCase() !== 'set-cookie') copy[name] = value;
  }
  copy['set-cookie'] = [given, line].flat();
  return copy;
}
