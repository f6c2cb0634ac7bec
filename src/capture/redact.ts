import { digitAt, isDigit } from './digits.ts';
import { SECRET_NAMES } from './secret-names.ts';

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
      // Beyond its end a text has no units; to ask makes this function slow for good.
      if (i < url.length && url.charCodeAt(i) === HASH) inFragment = true;
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
