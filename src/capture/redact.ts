import { isIP } from 'node:net';

/**
 * Names of query values that are never stored: whoever has one of these can act as somebody, or knows what nobody
 * else should. Compared without case, `-` and `_`, so that `api_key` stands for `apiKey` and `API-Key` too.
 *
 * `code` and `key` are among them for OAuth and for the keys of APIs, although harmless values have these names too:
 * a lost value is mended by a list of one's own, a stored secret is not.
 */
export const SECRET_NAMES: readonly string[] = [
  // Tokens
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'id_token_hint',
  'auth_token',
  'bearer_token',
  'api_token',
  'user_token',
  'session_token',
  'security_token',
  'device_token',
  'reset_token',
  'password_reset_token',
  'reset_password_token',
  'confirmation_token',
  'verification_token',
  'activation_token',
  'invitation_token',
  'invite_token',
  'unsubscribe_token',
  'login_token',
  'remember_token',
  'csrf_token',
  'csrfmiddlewaretoken',
  'xsrf_token',
  'authenticity_token',
  'csrf',
  'xsrf',
  'jwt',
  'assertion',
  'client_assertion',
  'SAMLResponse',
  'ticket',
  'bearer',
  // Codes that are good for one time
  'code',
  'auth_code',
  'authorization_code',
  'code_verifier',
  'device_code',
  'user_code',
  'oob_code',
  'reset_code',
  'verification_code',
  'otp',
  'totp',
  'mfa',
  'mfa_code',
  'pin',
  // Passwords and keys
  'password',
  'passwd',
  'passphrase',
  'passcode',
  'pass',
  'pwd',
  'pw',
  'user_password',
  'new_password',
  'old_password',
  'current_password',
  'confirm_password',
  'password_confirmation',
  'secret',
  'client_secret',
  'app_secret',
  'api_secret',
  'shared_secret',
  'key',
  'api_key',
  'x_api_key',
  'access_key',
  'access_key_id',
  'secret_key',
  'secret_access_key',
  'private_key',
  'app_key',
  'auth_key',
  'subscription_key',
  'encryption_key',
  'license_key',
  'credential',
  'credentials',
  'auth',
  'authorization',
  'authentication',
  // Sessions
  'session',
  'session_id',
  'session_key',
  'sess',
  'sid',
  'jsessionid',
  'phpsessid',
  // Signed URLs: object stores, share links
  'signature',
  'sig',
  'hmac',
  'AWSAccessKeyId',
  'X-Amz-Signature',
  'X-Amz-Credential',
  'X-Amz-Security-Token',
  'X-Goog-Signature',
  'X-Goog-Credential',
  'hdnts',
  'hdnea',
  // People and money
  'ssn',
  'social_security_number',
  'card_number',
  'credit_card',
  'cvv',
  'cvc',
];

const REDACTED = 'REDACTED';

/**
 * A function that takes the secrets out of a request target, a URL or a referrer: the values of parameters with a
 * secret's name, in the query and in the fragment, become `REDACTED`; `user:password@` goes, and so do values in
 * `;name=value` of a path. All else stays byte for byte, and a text without any of them is returned as it is.
 *
 * A name counts by its last part (`user[password]`, `filter.token`, `token[0]`), decoded. A URL within a value
 * (`next=/login?token=…`, also encoded once) is cleaned too. Never throws.
 *
 * @param names Defaults to `SECRET_NAMES`; what is given replaces them.
 */
export function createRedactor(names: readonly string[] = SECRET_NAMES): (url: string) => string {
  const secrets = new Set(names.map(plainName));
  secrets.delete('');
  const isSecret = (name: string): boolean => secrets.has(plainName(name));
  // Most names are ruled out by a hash, made while they are read past.
  const hashes = new Uint8Array(HASHES);
  for (const name of secrets) hashes[hashOf(name)] = 1;

  /** @param start Where the `?` or `#` is. */
  const redactParameters = (url: string, start: number): string => {
    let clean = '';
    let copied = 0;
    let inFragment = url.charCodeAt(start) === HASH;
    let i = start + 1;
    while (i < url.length) {
      const nameStart = i;
      let unit = 0;
      let hash = 0;
      let outerHash = 0;
      let isNamed = false;
      let isAscii = true;
      for (; i < url.length; i++) {
        unit = url.charCodeAt(i);
        if (unit === EQUALS || isSeparator(unit)) break;
        if (unit === PERCENT) {
          const byte = byteAt(url, i + 1);
          if (byte >= 0) {
            unit = byte;
            i += 2;
          }
        }
        if (unit > 127) isAscii = false;
        const folded = FOLDED[unit & 127]!;
        if (folded === IGNORED) continue;
        if (folded === NESTING) {
          if (isNamed) outerHash = hash;
          hash = 0;
          isNamed = false;
        } else {
          hash = addToHash(hash, folded);
          isNamed ||= !isDigit(folded);
        }
      }
      if (i === url.length) break;
      const nameEnd = i++;
      if (unit === HASH) inFragment = true;
      if (unit !== EQUALS) continue;

      const valueStart = i;
      const maybeSecret = !isAscii || hashes[(isNamed ? hash : outerHash) & (HASHES - 1)] === 1;
      let value: string | undefined;
      if (maybeSecret && isSecret(url.slice(nameStart, nameEnd))) {
        i = endOfSecret(url, i, inFragment);
        if (i > valueStart) value = REDACTED;
      } else {
        let hasEncodedEquals = false;
        for (; i < url.length; i++) {
          unit = url.charCodeAt(i);
          if (isSeparator(unit)) break;
          if (unit === PERCENT && isEncodedEquals(url, i)) hasEncodedEquals = true;
        }
        if (hasEncodedEquals) value = redactEncoded(url.slice(valueStart, i));
      }
      if (value !== undefined) {
        clean += url.slice(copied, valueStart) + value;
        copied = i;
      }
      if (url.charCodeAt(i) === HASH) inFragment = true;
      i++;
    }
    return copied === 0 ? url : clean + url.slice(copied);
  };

  /** The parameters of a URL that is a value itself. */
  const redactEncoded = (value: string): string =>
    value
      .split(ENCODED_SEPARATOR)
      .map((part) => {
        const equals = part.search(ENCODED_EQUALS);
        const end = equals + 3;
        return equals > 0 && end < part.length && isSecret(part.slice(0, equals))
          ? part.slice(0, end) + REDACTED
          : part;
      })
      .join('');

  /** Parameters of path segments, as in `/shop;jsessionid=…`. */
  const redactPath = (path: string): string =>
    path.replace(/(;([^=;/]+)=)[^;/]+/g, (whole, kept: string, name: string) =>
      isSecret(name) ? kept + REDACTED : whole,
    );

  return (url) => {
    const bare = url.includes('@') ? withoutUser(url) : url;
    const start = startOfParameters(bare);
    const semicolon = bare.indexOf(';');
    if (semicolon < 0 || semicolon >= start) {
      return start === bare.length ? bare : redactParameters(bare, start);
    }
    const path = redactPath(bare.slice(0, start));
    return path + redactParameters(bare.slice(start), 0);
  };
}

/** With a hundred names, one harmless name in forty needs a closer look. A power of two. */
const HASHES = 4096;

const EQUALS = 61;
const PERCENT = 37;
const AMPERSAND = 38;
const SEMICOLON = 59;
const QUESTION = 63;
const COLON = 58;
const HASH = 35;

/** The borders of a name's parts: `user[password]`, `filter.token`, `#/token`, `#!token`. */
const PARTS = /[.[\]/!]/;
const ENCODED_EQUALS = /%3d/i;
/** `?`, `&` and `#`, kept by `split`. */
const ENCODED_SEPARATOR = /(%3f|%26|%23)/i;

const IGNORED = 254;
const NESTING = 255;
/** Of each ASCII character what it counts for in a name: its lower case, nothing, or the border of two parts. */
const FOLDED = Uint8Array.from({ length: 128 }, (_, unit) => {
  const folded = fold(String.fromCharCode(unit));
  if (folded === '') return IGNORED;
  return PARTS.test(folded) ? NESTING : folded.charCodeAt(0);
});

function isDigit(unit: number): boolean {
  return unit >= 48 && unit <= 57;
}

function addToHash(hash: number, unit: number): number {
  return (Math.imul(hash, 31) + unit) | 0;
}

function hashOf(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = addToHash(hash, name.charCodeAt(i));
  return hash & (HASHES - 1);
}

/** The byte that two hexadecimal digits stand for; negative where they are none. */
function byteAt(text: string, index: number): number {
  return (digitAt(text, index) << 4) | digitAt(text, index + 1);
}

function digitAt(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  if (isDigit(unit)) return unit - 48;
  const lower = unit | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Where the query begins, or the fragment where there is none; the end where there is neither. */
function startOfParameters(url: string): number {
  const query = url.indexOf('?');
  const fragment = url.indexOf('#');
  if (query < 0) return fragment < 0 ? url.length : fragment;
  return fragment < 0 || query < fragment ? query : fragment;
}

/** A `?` begins the query of a URL within a value, or that of a fragment. */
function isSeparator(unit: number): boolean {
  return unit === AMPERSAND || unit === SEMICOLON || unit === QUESTION || unit === HASH;
}

function isEncodedEquals(url: string, index: number): boolean {
  return url.charCodeAt(index + 1) === 51 && (url.charCodeAt(index + 2) | 32) === 100;
}

/**
 * Where a secret ends: at `&`, at the fragment, and at a `;` only where another parameter follows, for many parsers
 * take `;` and `?` for a part of the value.
 */
function endOfSecret(url: string, start: number, inFragment: boolean): number {
  let end = -1;
  let i = start;
  for (; i < url.length; i++) {
    const unit = url.charCodeAt(i);
    if (unit === AMPERSAND || (unit === HASH && !inFragment)) break;
    if (unit === SEMICOLON) end = i;
    else if (unit === EQUALS && end >= start) return end;
  }
  return i;
}

/** Percent-decoded; what is malformed stays. (`decodeURIComponent` throws for it, which costs 5 µs a name.) */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  const bytes = text.replace(/%([\da-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return /[\x80-\xff]/.test(bytes) ? Buffer.from(bytes, 'latin1').toString() : bytes;
}

/** The part of a name that counts, the same for all spellings. Of `token[]` and `token[0]` it is `token`. */
function plainName(sent: string): string {
  const parts = fold(decode(sent)).split(PARTS);
  return parts.findLast((part) => part !== '' && !/^\d+$/.test(part)) ?? '';
}

function fold(name: string): string {
  return name.toLowerCase().replace(/[-_+\s]/g, '');
}

/** Without `user:password@`. The path of a request target is no authority, whatever it looks like. */
function withoutUser(url: string): string {
  const authority = /^[a-z][a-z\d+.-]*:\/\/([^/\\?#]*)@/i.exec(url);
  return authority ? url.slice(0, url.indexOf('//') + 2) + url.slice(authority[0].length) : url;
}

/**
 * The network of an address: IPv4 with a last byte of 0, of IPv6 the first 48 bits, as a site has them. In canonical
 * form (RFC 5952), IPv4 within IPv6 as IPv4. `null` for what is no address.
 */
export function anonymizeIp(address: string): string | null {
  const version = isIP(address);
  if (version === 4) return `${address.slice(0, address.lastIndexOf('.'))}.0`;
  if (version === 0) return null;
  readGroups(withoutZone(address));
  // By index: taking such an array apart costs more than reading the address.
  const a = GROUPS[0]!;
  const b = GROUPS[1]!;
  const c = GROUPS[2]!;
  if ((a | b | c | GROUPS[3]! | GROUPS[4]!) === 0 && GROUPS[5] === 0xffff) {
    return `${GROUPS[6]! >> 8}.${GROUPS[6]! & 255}.${GROUPS[7]! >> 8}.0`;
  }
  if (c !== 0) return `${a.toString(16)}:${b.toString(16)}:${c.toString(16)}::`;
  if (b !== 0) return `${a.toString(16)}:${b.toString(16)}::`;
  return a === 0 ? '::' : `${a.toString(16)}::`;
}

/** The eight groups of the IPv6 address that was read last: one array for all. */
const GROUPS = new Uint16Array(8);

/** Reads a valid IPv6 address into `GROUPS`. */
function readGroups(address: string): void {
  const text = address.includes('.') ? withoutDots(address) : address;
  let count = 0;
  let gap = -1;
  let group = -1;
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== COLON) {
      group = (group < 0 ? 0 : group << 4) | digitAt(text, i);
      continue;
    }
    if (group >= 0) GROUPS[count++] = group;
    group = -1;
    if (text.charCodeAt(i + 1) === COLON) gap = count;
  }
  if (group >= 0) GROUPS[count++] = group;
  if (gap < 0) return;
  const tail = 8 - (count - gap);
  GROUPS.copyWithin(tail, gap, count);
  GROUPS.fill(0, gap, tail);
}

/** The dotted end of an IPv6 address as two groups. */
function withoutDots(address: string): string {
  const end = address.lastIndexOf(':') + 1;
  const [a = 0, b = 0, c = 0, d = 0] = address.slice(end).split('.').map(Number);
  return `${address.slice(0, end)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

function withoutZone(address: string): string {
  const percent = address.indexOf('%');
  return percent < 0 ? address : address.slice(0, percent);
}

/** More hops than that are nobody's proxies; what follows is left out. */
const MOST_HOPS = 64;

/** Masks each address of an X-Forwarded-For header; ports go, and what is no address becomes `unknown`. */
export function anonymizeForwarded(header: string): string {
  return header
    .split(',', MOST_HOPS)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => anonymizeIp(withoutPort(entry)) ?? 'unknown')
    .join(', ');
}

/** Some proxies add the client's port: `192.0.2.1:5000`, `[2001:db8::1]:5000`. */
function withoutPort(entry: string): string {
  const [, v6, v4] = /^"?(?:\[([^\]]*)\](?::\d+)?|([\d.]+):\d+)"?$/.exec(entry) ?? [];
  return v6 ?? v4 ?? entry;
}
