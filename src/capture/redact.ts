import { digitAt, isDigit } from './digits.ts';
import { isEncodedMark, NestedSecrets } from './nested-secrets.ts';
import { REDACTED, SECRET_NAMES } from './secret-names.ts';
import { withoutUsers } from './url-users.ts';

/**
 * Returns a function that removes secrets from a request target, a URL or a referrer. Query and fragment
 * parameters with a secret's name get the value `REDACTED`. The user and password of each URL, and values in
 * `;name=value` of a path, are removed. Everything else stays byte for byte, and a text without secrets is
 * returned unchanged.
 *
 * A name is identified by its last part (`user[password]`, `filter.token`, `token[0]`), decoded. Secrets within
 * values are redacted too, at any level of encoding: parameters, the user of a URL, JSON members. The function
 * never throws.
 *
 * @param names Names of secrets. Replaces the default `SECRET_NAMES`.
 */
export function createRedactor(names: readonly string[] = SECRET_NAMES): (url: string) => string {
  const secrets = new Set(names.map(plainName));
  secrets.delete('');
  const isSecret = (name: string): boolean => secrets.has(plainName(name));
  const nested = new NestedSecrets(isSecret);
  // Hashes rule out most names, and are computed while names are scanned.
  const hashes = new Uint8Array(HASHES);
  for (const name of secrets) hashes[hashOf(name)] = 1;

  /**
   * Redacts parameters.
   * @param start Index of the `?` or `#`.
   */
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
      let isPlain = true;
      let holdsValue = false;
      for (; i < url.length; i++) {
        unit = url.charCodeAt(i);
        if (unit === EQUALS || isSeparator(unit)) break;
        if (unit === PERCENT) {
          const byte = byteAt(url, i + 1);
          if (byte >= 0) {
            unit = byte;
            i += 2;
          }
          // Doubly encoded. The hash only covers names decoded once.
          if (unit === PERCENT) isPlain = false;
        }
        if (unit > 127) isPlain = false;
        if (unit === EQUALS || unit === AT || unit === QUOTE || unit === PERCENT) holdsValue = true;
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
      // Hash of the name alone, if no `=` follows.
      let from = nameStart;
      let value: string | undefined;
      if (i === url.length || unit !== EQUALS) {
        if (holdsValue) value = nested.redact(url.slice(nameStart, i));
      } else {
        const valueStart = i + 1;
        const maybeSecret = !isPlain || hashes[(isNamed ? hash : outerHash) & (HASHES - 1)] === 1;
        if (maybeSecret && isSecret(url.slice(nameStart, i))) {
          from = valueStart;
          i = endOfSecret(url, from, inFragment);
          if (i > from) value = REDACTED;
        } else {
          let mayContain = holdsValue;
          for (i++; i < url.length; i++) {
            const role = ROLES[url.charCodeAt(i) & 127]!;
            if (role === ORDINARY) continue;
            if (role === SEPARATOR && isSeparator(url.charCodeAt(i))) break;
            if (role === MARK || (role === ENCODED && isEncodedMark(url, i))) mayContain = true;
          }
          if (mayContain) {
            // A name that contains an encoded `=`, or the start of a URL, contains a value too.
            if (!holdsValue && !COLON.test(url.slice(nameStart, valueStart))) from = valueStart;
            value = nested.redact(url.slice(from, i));
          }
        }
      }
      if (value !== undefined) {
        clean += url.slice(copied, from) + value;
        copied = i;
      }
      // Reading beyond the end of a text would permanently deoptimize this function.
      if (i < url.length && url.charCodeAt(i) === HASH) inFragment = true;
      i++;
    }
    return clean + url.slice(copied);
  };

  /** Redacts parameters of path segments, as in `/shop;jsessionid=…`. */
  const redactPath = (path: string): string =>
    path.replace(/(;([^=;/]+)=)[^;/]+/g, (whole, kept: string, name: string) =>
      isSecret(name) ? kept + REDACTED : whole,
    );

  return (url) => {
    const start = startOfParameters(url);
    let path = url;
    if (start < url.length) path = url.slice(0, start);
    path = withoutUsers(path, true);
    if (path.includes(';')) path = redactPath(path);
    if (path.includes('%')) {
      // A link that was encoded once too often.
      const hidden = path.search(ENCODED_START);
      if (hidden >= 0) path = path.slice(0, hidden) + nested.redact(path.slice(hidden));
    }
    return start === url.length ? path : path + redactParameters(url.slice(start), 0);
  };
}

/** Cleans a referrer, which has an authority even if it starts with `//`. */
export function cleanReferrer(clean: (url: string) => string, referrer: string): string {
  return /^[\\/]{2}/.test(referrer) ? clean(`http:${referrer}`).slice('http:'.length) : clean(referrer);
}

/** Size of the hash table, a power of two. With 100 names, one harmless name in 40 needs a full check. */
const HASHES = 4096;

const EQUALS = 61;
const PERCENT = 37;
const AMPERSAND = 38;
const SEMICOLON = 59;
const QUESTION_MARK = 63;
const HASH = 35;
const AT = 64;
const QUOTE = 34;

const ORDINARY = 0;
const SEPARATOR = 1;
const MARK = 2;
const ENCODED = 3;
/** Roles of characters in a value, by the low 7 bits of their code. Other characters alias to ASCII ones. */
const ROLES = Uint8Array.from({ length: 128 }, (_, unit) => {
  if (isSeparator(unit)) return SEPARATOR;
  if (unit === PERCENT) return ENCODED;
  return unit === EQUALS || unit === AT || unit === QUOTE ? MARK : ORDINARY;
});

/** Boundaries of the parts of a name: `user[password]`, `filter.token`, `#/token`, `#!token`, `a=1;token`. */
const PARTS = /[.[\]/!;]/;
const COLON = /:|%(?:25)*3a/i;
/** `?` and `#`, encoded any number of times. */
const ENCODED_START = /%(?:25)*(?:3f|23)/i;
/** Maximum number of times that servers decode a value: the server, a framework, and the link's target. */
const MAX_DECODINGS = 4;

const IGNORED = 254;
const NESTING = 255;
/** Role of each ASCII character in a name: its lowercase form, ignored, or a boundary between two parts. */
const FOLDED = Uint8Array.from({ length: 128 }, (_, unit) => {
  const folded = fold(String.fromCharCode(unit));
  if (folded === '') return IGNORED;
  return PARTS.test(folded) ? NESTING : folded.charCodeAt(0);
});

function addToHash(hash: number, unit: number): number {
  return (Math.imul(hash, 31) + unit) | 0;
}

function hashOf(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = addToHash(hash, name.charCodeAt(i));
  return hash & (HASHES - 1);
}

/** Returns the byte for two hexadecimal digits, or a negative number for other characters. */
function byteAt(text: string, index: number): number {
  return (digitAt(text, index) << 4) | digitAt(text, index + 1);
}

/**
 * Returns the start of the query, or of the fragment if there is no query. Returns the length if there is
 * neither.
 */
function startOfParameters(url: string): number {
  const query = url.indexOf('?');
  const fragment = url.indexOf('#');
  if (query < 0) return fragment < 0 ? url.length : fragment;
  return fragment < 0 || query < fragment ? query : fragment;
}

/** A `?` starts the query of a URL within a value, or of a fragment. */
function isSeparator(unit: number): boolean {
  return unit === AMPERSAND || unit === SEMICOLON || unit === QUESTION_MARK || unit === HASH;
}

/**
 * Returns the end of a secret: `&`, the fragment, or a `;` followed by another parameter. Many parsers treat
 * `;` and `?` as part of the value.
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

/**
 * Percent-decodes a text and keeps malformed sequences. (`decodeURIComponent` throws for them, which costs 5
 * µs per name.)
 */
function decode(text: string): string {
  let decoded = text;
  for (let i = 0; i < MAX_DECODINGS && decoded.includes('%'); i++) decoded = decodeOnce(decoded);
  return decoded;
}

function decodeOnce(text: string): string {
  const bytes = text.replace(/%([\da-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return /[\x80-\xff]/.test(bytes) ? Buffer.from(bytes, 'latin1').toString() : bytes;
}

/**
 * Returns the significant part of a name, equal for all spellings. For `token[]` and `token[0]` it is
 * `token`.
 */
function plainName(sent: string): string {
  // Full-width letters and zero-width characters look the same, and some servers treat them the same.
  const parts = fold(decode(sent).normalize('NFKC')).split(PARTS);
  return parts.findLast((part) => part !== '' && !/^\d+$/.test(part)) ?? '';
}

function fold(name: string): string {
  return name.toLowerCase().replace(/[-_+\s=\p{C}]/gu, '');
}
