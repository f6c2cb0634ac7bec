import { createHmac, createSecretKey, type KeyObject, randomFillSync, timingSafeEqual } from 'node:crypto';
import { parseCookie, type SetCookie, stringifySetCookie } from 'cookie';
import { show, TrackUsageError } from '../errors.ts';
import { checkOption, isText, isWholeNumber } from '../options/checks.ts';
import { BoundedCache } from '../platform/cache.ts';
import type { Request } from './exchange.ts';

export interface CookieOptions {
  /** Defaults to `track_usage`. */
  name?: string;
  /** How long a browser keeps it, in seconds. Defaults to `31536000` (1 year). */
  maxAge?: number;
  /** Defaults to `/`. */
  path?: string;
  /** Defaults to none: the host that set it, and no other. */
  domain?: string;
  /**
   * Signs the cookie, so that only visitors that this app named are believed. Of several the first signs and all
   * verify: to change it, put the new one in front. Defaults to none.
   */
  secret?: string | readonly string[];
  /** Whether this visitor agreed to a cookie. Defaults to always. */
  when?: (request: Request) => boolean;
}

const DEFAULT_NAME = 'track_usage';
const DEFAULT_MAX_AGE = 31_536_000;

/** An id is 128 random bits, in hexadecimal for it has one spelling only; a signature is 256 in base64url. */
const ID_BYTES = 16;
const ID_LENGTH = 2 * ID_BYTES;
const ID = /^[0-9a-f]{32}$/;
const SIGNED_ID = /^([0-9a-f]{32})\.([\w-]{43})$/;

/** Verifying costs 3 µs, remembering at most 0.3 MB: values of a generation of the cache. */
const VERIFIED = 1_000;

/** Random bytes are drawn many at once: each call costs more than the bytes. */
const pool = Buffer.allocUnsafeSlow(4096);
let poolUsed = pool.length;

/** Tells visitors apart by a cookie with a random id. */
export class VisitorCookie {
  readonly #name: string;
  readonly #keys: readonly KeyObject[];
  readonly #plain: string;
  readonly #secure: string;
  /** Signed values that were found right: a visitor comes with the same one again and again. */
  readonly #verified = new BoundedCache<string, true>(VERIFIED);

  /** Throws for options that no browser would take. */
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

  /** The visitor's id in a Cookie header; `null` where there is none, or none that is ours. */
  read(header: string): string | null {
    // Most requests of a new visitor or of a program are done here.
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
    // A copy: a part of the header would keep all of it in memory.
    this.#verified.set(Buffer.from(value, 'latin1').toString('latin1'), true);
    return visitor;
  }

  /** A new visitor's id. */
  issue(): string {
    if (poolUsed === pool.length) {
      randomFillSync(pool);
      poolUsed = 0;
    }
    const visitor = pool.toString('hex', poolUsed, poolUsed + ID_BYTES);
    poolUsed += ID_BYTES;
    return visitor;
  }

  /** The value of a Set-Cookie header. `secure`: the visitor came by https. */
  serialize(visitor: string, secure: boolean): string {
    const [key] = this.#keys;
    const value = key ? `${visitor}.${this.#sign(visitor, key)}` : visitor;
    return `${this.#name}=${value}${secure ? this.#secure : this.#plain}`;
  }

  /** With the name, so that a signature of another cookie of the same secret is worth nothing here. */
  #sign(visitor: string, key: KeyObject): string {
    return createHmac('sha256', key).update(`${this.#name}=${visitor}`).digest('base64url');
  }
}

/** Values are compared as they were sent: those of ours need no decoding, others are not our business. */
const PARSE = { decode: (value: string) => value };

/** Names with which browsers take a cookie only as secure (RFC 6265bis §4.1.3). */
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
    checkOption('cookie.domain', domain, false, expected('left out'));
  }
  const secrets = [secret].flat();
  if (secret !== undefined && (secrets.length === 0 || !secrets.every(isText))) {
    throw new TrackUsageError('OPTION_INVALID', {
      name: 'cookie.secret',
      // A message ends up in logs: its type says enough.
      value: show(Array.isArray(secret) ? secrets.map((one) => typeof one) : typeof secret),
      expected: 'a text that is not empty, or a list of such',
    });
  }
}

/**
 * Whether a response is meant for shared caches: `public`, `s-maxage` or `immutable`, and neither `private` nor
 * `no-store`. A shared cache would hand such a response, and its cookie, to others (RFC 9111 §5.2.2).
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
        // With an argument it is about the headers that this names, not the response (§5.2.2.7).
        if (argument === undefined) return false;
        break;
      case 'no-store':
        return false;
    }
  }
  return shareable;
}

const DIRECTIVE = /([^\s,;="]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"?|[^\s,;]*))?/gs;
