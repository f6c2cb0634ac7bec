import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { parseCookie, stringifySetCookie } from 'cookie';
import { BoundedCache } from '../platform/cache.ts';
import { wallClock } from '../platform/clock.ts';
import { within } from './gate.ts';
import type { HandlerSettings } from './options.ts';
import type { Problem } from './problem.ts';

const COOKIE = 'track-usage-session';
/** Duration of a session. In s. */
const SESSION = 7 * 24 * 60 * 60;
/** Number of wrong tokens that an address may send before it is rate-limited, and the duration of that. */
const FAILURES = 5;
const MEMORY = 60_000;
/** Maximum number of addresses whose failures are tracked. */
const MAX_TRACKED_ADDRESSES = 10_000;
const LINKS = 16;
/** Headers that proxies and tunnels add. */
const FORWARDED =
  /^(?:x-forwarded-.*|forwarded|via|x-real-ip|x-client-ip|x-cluster-client-ip|true-client-ip|fastly-client-ip|cf-.*)$/;

/** Access control: see `HandlerOptions`. */
export class Access {
  readonly #settings: HandlerSettings;
  readonly #onFailure: (error: unknown) => void;
  /** Key that signs sessions, the same in every process with the same token. */
  readonly #key: Buffer;
  /** Unused tokens of links. */
  readonly #links = new Set<string>();
  readonly #failures = new BoundedCache<string, { count: number; until: number }>(MAX_TRACKED_ADDRESSES);

  /**
   * Creates the access control.
   * @param onFailure Called with errors thrown by `authorize`.
   */
  constructor(settings: HandlerSettings, onFailure: (error: unknown) => void = () => {}) {
    this.#settings = settings;
    this.#onFailure = onFailure;
    const { token } = settings;
    this.#key =
      token === undefined ? randomBytes(32) : createHmac('sha256', token).update('track-usage').digest();
  }

  /** True if no option restricts access. Access is then limited to localhost, through a one-time link. */
  get isLocal(): boolean {
    const { authorize, token, public: isPublic } = this.#settings;
    return authorize === undefined && token === undefined && !isPublic;
  }

  /** True if users sign in with a token. */
  get hasSignIn(): boolean {
    return this.#settings.token !== undefined || this.isLocal;
  }

  /** Creates a token for one link. The oldest unused tokens are evicted. */
  createLink(): string {
    const link = randomBytes(24).toString('base64url');
    this.#links.add(link);
    const [oldest] = this.#links;
    if (this.#links.size > LINKS) this.#links.delete(oldest!);
    return link;
  }

  /** Refusal before authentication: wrong host, or not loopback. Returns `undefined` if there is none. */
  refusal(request: IncomingMessage): Problem | undefined {
    const { hosts, public: isPublic } = this.#settings;
    const isNear =
      isLoopback(request.socket.remoteAddress) &&
      !Object.keys(request.headers).some((name) => FORWARDED.test(name));
    if (this.isLocal && !isNear) {
      return {
        status: 403,
        title: 'Access is limited to localhost',
        detail:
          'To allow other machines, pass token, authorize or public: true to usage.handler(), or set TRACK_USAGE_TOKEN for track-usage serve.',
        code: 'ACCESS_LOCAL',
      };
    }
    const host = hostOf(request);
    const isExpected = hosts
      ? hosts.includes(host)
      : !(isNear && (this.isLocal || isPublic)) || isLocalName(host);
    if (isExpected) return undefined;
    // Another site's host name that was made to resolve to this machine (DNS rebinding).
    return {
      status: 421,
      title: 'Unknown host',
      detail:
        'If the name is yours, add it to hosts of usage.handler(), or use a token with track-usage serve.',
      code: 'ACCESS_HOST',
    };
  }

  /** Returns whether the request is authorized. */
  async allows(request: IncomingMessage): Promise<boolean | Problem> {
    const { authorize, token, public: isPublic } = this.#settings;
    if (isPublic || this.hasSession(request)) return true;
    if (authorize) {
      try {
        const answer = await within(Promise.resolve(authorize(request)), this.#settings.timeout);
        if (answer === true) return true;
      } catch (error) {
        // The error denies access.
        this.#onFailure(error);
      }
    }
    const [, bearer] = /^Bearer +([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token === undefined || bearer === undefined) return false;
    return this.#try(request, 'bearer', () => isSame(bearer, token));
  }

  /** Returns the cookie for the correct token, or for a link's token entered in the form. */
  signIn(request: IncomingMessage, given: string): string | Problem {
    const { token } = this.#settings;
    const isRight = this.#try(
      request,
      'form',
      () => this.#takeLink(given) || (token !== undefined && isSame(given, token)),
    );
    if (typeof isRight === 'object') return isRight;
    if (!isRight) {
      return { status: 401, title: 'Wrong token', detail: 'Try again.', code: 'TOKEN_WRONG' };
    }
    return this.#cookie(request);
  }

  /**
   * Returns the cookie for a link's token. The main token is not accepted in a URL, because it would remain
   * in logs and histories. Wrong link tokens are not counted, or other sites could lock a user out with an
   * image.
   */
  enter(request: IncomingMessage, given: string): string | Problem | undefined {
    if (this.#takeLink(given)) return this.#cookie(request);
    // The link was used before, possibly by the same user.
    if (this.hasSession(request)) return undefined;
    return {
      status: 401,
      title: 'The link is invalid or was already used',
      detail: 'A link works once. Open the dashboard without the link to sign in.',
      code: 'LINK_WRONG',
    };
  }

  #cookie(request: IncomingMessage): string {
    const expires = Math.floor(wallClock.now() / 1000) + SESSION;
    return stringifySetCookie({
      name: COOKIE,
      value: `${expires}.${this.#sign(expires)}`,
      path: this.#settings.path,
      httpOnly: true,
      sameSite: 'strict',
      secure: isSecure(request),
      maxAge: SESSION,
    });
  }

  /** Uses up a link's token. Each is valid once. */
  #takeLink(given: string): boolean {
    const found = [...this.#links].filter((link) => isSame(link, given));
    for (const link of found) this.#links.delete(link);
    return found.length > 0;
  }

  hasSession(request: IncomingMessage): boolean {
    const [expires, signature] = (parseCookie(request.headers.cookie ?? '')[COOKIE] ?? '').split('.');
    if (expires === undefined || signature === undefined || !/^\d{10}$/.test(expires)) return false;
    return Number(expires) * 1000 > wallClock.now() && isSame(signature, this.#sign(Number(expires)));
  }

  #sign(expires: number): string {
    return createHmac('sha256', this.#key).update(`${this.#settings.path} ${expires}`).digest('base64url');
  }

  /** Checks a token, unless this address has sent too many wrong ones in the same way. */
  #try(request: IncomingMessage, way: 'bearer' | 'form', isRight: () => boolean): boolean | Problem {
    const address = `${way} ${networkOf(request.socket.remoteAddress ?? '')}`;
    const now = wallClock.now();
    const before = this.#failures.get(address);
    const failures = before !== undefined && before.until > now ? before : { count: 0, until: 0 };
    if (failures.count >= FAILURES) {
      const seconds = Math.ceil((failures.until - now) / 1000);
      return {
        status: 429,
        title: 'Too many wrong tokens',
        detail: `Try again in ${seconds} s.`,
        code: 'ACCESS_SLOWED',
        headers: { 'retry-after': String(seconds) },
      };
    }
    if (isRight()) return true;
    this.#failures.set(address, { count: failures.count + 1, until: now + MEMORY });
    return false;
  }
}

/** Compares in constant time, for any lengths. */
function isSame(one: string, other: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(one), hash(other));
}

function isLoopback(address = ''): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || /^127\./.test(plain);
}

/** Returns whether a name or address can only refer to this machine. */
export function isLocalName(host: string): boolean {
  return /^(?:[a-z0-9-]+\.)*localhost$/.test(host) || (isIP(host) !== 0 && isLoopback(host));
}

/** Returns the Host header, or its HTTP/2 equivalent. */
export function authorityOf({ headers }: IncomingMessage): string {
  const given = headers.host ?? headers[':authority'];
  return (typeof given === 'string' ? given : '').toLowerCase();
}

/** Returns the host without its port and brackets. */
function hostOf(request: IncomingMessage): string {
  const host = authorityOf(request);
  return /^\[(.*)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, '');
}

/**
 * Returns the network of an address. An IPv6 user has 2^64 addresses, so the first four groups identify the
 * user.
 */
function networkOf(address: string): string {
  if (isIP(address) !== 6 || address.includes('.')) return address;
  const [head = '', tail] = address.replace(/%.*/, '').split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const after = tail?.split(':') ?? [];
  while (groups.length + after.length < 8 && groups.length < 4) groups.push('0');
  const network = [...groups, ...after].slice(0, 4);
  return network.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}

function isSecure(request: IncomingMessage): boolean {
  return 'encrypted' in request.socket || request.headers['x-forwarded-proto'] === 'https';
}
