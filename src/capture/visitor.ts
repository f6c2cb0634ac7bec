import { createHmac, createSecretKey, type KeyObject, randomFillSync, timingSafeEqual } from 'node:crypto';
import { parseCookie, type SetCookie, stringifySetCookie } from 'cookie';
import { show, TrackUsageError } from '../errors.ts';
import { checkOption, isText, isWholeNumber } from '../options/checks.ts';
import { BoundedCache } from '../platform/cache.ts';
import type { Request } from './exchange.ts';

/** Settings of the cookie that identifies visitors. */
export interface CookieOptions {
  /** Name of the cookie. Defaults to `track_usage`. */
  name?: string;
  /** Lifetime of the cookie in a browser, in seconds. Defaults to `31536000` (1 year). */
  maxAge?: number;
  /** Path of the cookie. Defaults to `/`. */
  path?: string;
  /** Domain of the cookie. Defaults to none: only the host that set it. */
  domain?: string;
  /**
   * Secret that signs the cookie, so that visitors cannot forge one. In a list, the first signs and all
   * verify. To rotate secrets, add the new one at the front. Defaults to none.
   */
  secret?: string | readonly string[];
  /** Returns whether this visitor agreed to a cookie. Defaults to always. */
  when?: (request: Request) => boolean;
}

const DEFAULT_NAME = 'track_usage';
const DEFAULT_MAX_AGE = 31_536_000;

/**
 * An ID has 128 random bits in lowercase hexadecimal, so that each ID has a single spelling. A signature has
 * 256 bits, in base64url.
 */
const ID_BYTES = 16;
const ID_LENGTH = 2 * ID_BYTES;
const ID = /^[0-9a-f]{32}$/;
const SIGNED_ID = /^([0-9a-f]{32})\.([\w-]{43})$/;

/**
 * Number of verified values per generation of the cache. Verifying costs 3 µs; the cache takes at most 0.3
 * MB.
 */
const VERIFIED = 1_000;

/** Pool of random bytes, because each call costs more than the bytes. */
const pool = Buffer.allocUnsafeSlow(4096);
let poolUsed = pool.length;

/** Identifies visitors by a cookie with a random ID. */
export class VisitorCookie {
  readonly #name: string;
  readonly #keys: readonly KeyObject[];
  readonly #plain: string;
  readonly #secure: string;
  /** Verified signed values, because a visitor sends the same one repeatedly. */
  readonly #verified = new BoundedCache<string, true>(VERIFIED);

  /** Throws for options that no browser would accept. */
  constructor(options: CookieOptions) {
    checkCookieOptions(options);
    const { name = DEFAULT_NAME, maxAge = DEFAULT_MAX_AGE, path = '/', domain, secret = [] } = options;
    this.#name = name;
    this.#keys = [secret].flat().map((text) => createSecretKey(text, 'utf8'));
    const cookie: SetCookie = { name, value: '', maxAge, path, httpOnly: true, sameSite: 'lax' };
    if (domain !== undefined) cookie.domain = domain;
    const attributesWhen = (secure: boolean) =>
      stringifySetCookie({ ...cookie, secure }).slice(`${name}=`.length);
    this.#secure = attributesWhen(true);
    this.#plain = isSecureName(name) ? this.#secure : attributesWhen(false);
  }

  /** Returns the visitor's ID in a Cookie header, or `null` if there is no valid one. */
  read(header: string): string | null {
    // Fast path for new visitors and programs.
    if (!header.includes(this.#name)) return null;
    const value = parseCookie(header, PARSE)[this.#name];
    if (value === undefined) return null;
    if (this.#keys.length === 0) return ID.test(value) ? value : null;
    if (this.#verified.get(value)) return value.slice(0, ID_LENGTH);
    const [, visitor, signature] = SIGNED_ID.exec(value) ?? [];
    if (visitor === undefined || signature === undefined) return null;
    const given = Buffer.from(signature, 'latin1');
    const isOurs = this.#keys.some((key) =>
      timingSafeEqual(given, Buffer.from(this.#sign(visitor, key), 'latin1')),
    );
    if (!isOurs) return null;
    // A copy, because a substring would keep the whole header in memory.
    this.#verified.set(Buffer.from(value, 'latin1').toString('latin1'), true);
    return visitor;
  }

  /** Returns a new visitor's ID. */
  issue(): string {
    if (poolUsed === pool.length) {
      randomFillSync(pool);
      poolUsed = 0;
    }
    const visitor = pool.toString('hex', poolUsed, poolUsed + ID_BYTES);
    poolUsed += ID_BYTES;
    return visitor;
  }

  /** Returns the value of a Set-Cookie header. `secure` is true if the visitor used https. */
  serialize(visitor: string, secure: boolean): string {
    const [key] = this.#keys;
    const value = key ? `${visitor}.${this.#sign(visitor, key)}` : visitor;
    return `${this.#name}=${value}${secure ? this.#secure : this.#plain}`;
  }

  /**
   * Signs the ID together with the cookie's name, so that another cookie's signature with the same secret is
   * invalid here.
   */
  #sign(visitor: string, key: KeyObject): string {
    return createHmac('sha256', key).update(`${this.#name}=${visitor}`).digest('base64url');
  }
}

/** Compares values as sent, because our own values need no decoding. */
const PARSE = { decode: (value: string) => value };

/** Returns whether the name is one that browsers accept only in secure cookies (RFC 6265bis §4.1.3). */
function isSecureName(name: string): boolean {
  return /^__(?:secure|host|http)-/i.test(name);
}

function checkCookieOptions({
  name = DEFAULT_NAME,
  maxAge,
  path,
  domain,
  secret,
  when,
}: CookieOptions): void {
  const takes = (cookie: Partial<SetCookie>) => {
    try {
      stringifySetCookie({ name: DEFAULT_NAME, value: '', ...cookie });
      return true;
    } catch {
      return false;
    }
  };
  checkOption('cookie.name', name, isText(name) && takes({ name }), 'the name of a cookie');
  const isPath = isText(path) && path!.startsWith('/') && takes({ path: path! });
  checkOption('cookie.path', path, isPath, 'a path that begins with "/"');
  checkOption('cookie.domain', domain, isText(domain) && takes({ domain: domain! }), 'a domain name');
  checkOption('cookie.maxAge', maxAge, isWholeNumber(maxAge, 1), 'a whole number of seconds from 1');
  checkOption('cookie.when', when, typeof when === 'function', 'a function');
  if (/^__host-/i.test(name)) {
    const expected = (what: string) => `${what}, for a name that begins with "__Host-"`;
    checkOption('cookie.path', path, path === '/', expected('"/"'));
    checkOption('cookie.domain', domain, false, expected('no value'));
  }
  const secrets = [secret].flat();
  if (secret !== undefined && (secrets.length === 0 || !secrets.every(isText))) {
    throw new TrackUsageError('OPTION_INVALID', {
      name: 'cookie.secret',
      // Messages are logged, so they show only the type.
      value: show(Array.isArray(secret) ? secrets.map((one) => typeof one) : typeof secret),
      expected: 'a non-empty string, or a list of them',
    });
  }
}

/**
 * Returns whether a response is meant for shared caches: `public`, `s-maxage` or `immutable`, and neither
 * `private` nor `no-store`. A shared cache would send such a response, and its cookie, to others (RFC 9111
 * §5.2.2).
 */
export function isShareable(cacheControl: string): boolean {
  let shareable = false;
  for (const [, name = '', argument] of cacheControl.matchAll(DIRECTIVE)) {
    switch (name.toLowerCase()) {
      case 'public':
      case 's-maxage':
      case 'immutable':
        shareable = true;
        break;
      case 'private':
        // With an argument, the directive applies to the named headers, not to the response (§5.2.2.7).
        if (argument === undefined) return false;
        break;
      case 'no-store':
        return false;
    }
  }
  return shareable;
}

const DIRECTIVE = /([^\s,;="]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"?|[^\s,;]*))?/gs;
