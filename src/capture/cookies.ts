import { hookFailed } from '../errors.ts';
import type { Exchange, Response } from './exchange.ts';
import { type HeaderFields, readHeaders } from './headers.ts';
import type { CaptureOptions } from './options.ts';
import { requireSynchronous } from './require-synchronous.ts';
import { hasHeaders, headerIn, headerOf, setHeader } from './response-headers.ts';
import { firstOf, isTrusted } from './trust.ts';
import { isShareable } from './visitor.ts';

/** Identifies visitors by their cookie, and issues one to new visitors. */
export class Cookies {
  readonly #options: CaptureOptions;

  constructor(options: CaptureOptions) {
    this.#options = options;
  }

  /**
   * Decides whether to set the cookie, when the headers are final. Returns the headers to pass to
   * `writeHead`.
   */
  prepareHeaders(exchange: Exchange, headers: unknown): unknown {
    const { cookie, views } = this.#options;
    if (!cookie || exchange.cookieSeen) return headers;
    exchange.cookieSeen = true;
    if (!views.tracks(exchange) || !this.#isWanted(exchange)) return headers;
    const sent = readHeaders(exchange.request.rawHeaders);
    if (this.#options.optOut?.applies(sent)) return headers;
    const known = cookie.read(sent.cookie);
    if (known !== null) {
      exchange.visitor = known;
      return headers;
    }
    const response = exchange.response!;
    const control = headerIn(headers, 'cache-control') ?? headerOf(response, 'cache-control');
    if (isText(control) && isShareable(String(control))) return headers;
    const visitor = cookie.issue();
    const line = cookie.serialize(visitor, this.#isSecure(exchange, sent));
    const result = withCookie(response, headers, line);
    exchange.visitor = visitor;
    return result;
  }

  /** Returns the visitor of a request whose response never had headers, or `''` without a valid cookie. */
  visitorOf(exchange: Exchange, sent: HeaderFields): string {
    const { cookie } = this.#options;
    if (!cookie || exchange.cookieSeen || sent.cookie === '' || !this.#isWanted(exchange)) return '';
    return cookie.read(sent.cookie) ?? '';
  }

  /** Returns true if the visitor agreed, and false if that cannot be determined. */
  #isWanted({ request }: Exchange): boolean {
    const { cookieWhen, onProblem } = this.#options;
    if (!cookieWhen) return true;
    try {
      return Boolean(requireSynchronous(cookieWhen(request)));
    } catch (error) {
      onProblem(hookFailed('the option cookie.when', 'the request is recorded without a visitor', error));
      return false;
    }
  }

  #isSecure(exchange: Exchange, sent: HeaderFields): boolean {
    if (exchange.connection?.scheme !== 'http://') return true;
    if (sent.forwardedProto === '' || firstOf(sent.forwardedProto) !== 'https') return false;
    return isTrusted(exchange, exchange.connection.address, 0, this.#options.onProblem);
  }
}

/** Returns whether a header has one or several text values. Node rejects all other values. */
function isText(value: unknown): boolean {
  return typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'));
}

/**
 * Adds a cookie where the app sets its own. If headers are passed only to `writeHead`, it is added there,
 * because Node treats them differently once a header has been set.
 */
function withCookie(response: Response, headers: unknown, line: string): unknown {
  const given = headerIn(headers, 'set-cookie');
  if (typeof headers !== 'object' || headers === null || (given === undefined && hasHeaders(response))) {
    const before = headerOf(response, 'set-cookie');
    setHeader(response, 'set-cookie', before === undefined ? line : [before, line].flat().map(String));
    return headers;
  }
  if (Array.isArray(headers)) {
    return Array.isArray(headers[0]) ? [...headers, ['set-cookie', line]] : [...headers, 'set-cookie', line];
  }
  const copy: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase() !== 'set-cookie') copy[name] = value;
  }
  copy['set-cookie'] = given === undefined ? line : [given, line].flat();
  return copy;
}
