import { BUDGET_NOTE, NO_KEY, OVER_BUDGET, SUMMARY_LABELS } from '../../../src/formats/labels.ts';

/** Maximum number of characters. A row never has room for more. */
const MAX_LENGTH = 400;
const TAIL = 14;

let countries: Intl.DisplayNames | undefined;
let languages: Intl.DisplayNames | undefined;

export interface KeyText {
  text: string;
  /** Complete key. */
  title: string;
  /** Symbol in front of the text. */
  mark?: string;
}

/** Returns the display text of a key. Any key is treated as plain text. */
export function keyText(summary: string, key: string | null, origin: string | null = null): KeyText {
  if (key === null) return { text: SUMMARY_LABELS.get(summary)?.none ?? NO_KEY, title: '' };
  if (key === '') return { text: OVER_BUDGET, title: BUDGET_NOTE };
  if (summary === 'geo') {
    const name = countryName(key);
    if (name !== null) return { text: name, title: key, mark: key };
  }
  if (summary === 'languages') {
    const name = languageName(key);
    if (name !== null) return { text: name, title: key };
  }
  const text =
    summary === 'urls' ? withoutOrigin(key, origin) : summary === 'referrers' ? withoutScheme(key) : key;
  return { text: visible(text), title: key };
}

/** Returns the name of a country by its ISO 3166 code. */
export function countryName(code: string): string | null {
  if (!/^[A-Z]{2}$/.test(code)) return null;
  countries ??= new Intl.DisplayNames('en', { type: 'region' });
  return countries.of(code) ?? null;
}

export function languageName(tag: string): string | null {
  languages ??= new Intl.DisplayNames('en', { type: 'language', fallback: 'none' });
  try {
    return languages.of(tag) ?? null;
  } catch {
    return null;
  }
}

/** Returns the scheme and host that more than half of the URLs share, or `null`. */
export function sharedOrigin(urls: readonly (string | null)[]): string | null {
  const counts = new Map<string, number>();
  for (const url of urls) {
    const origin = /^https?:\/\/[^/?#\s]+/.exec(url ?? '')?.[0];
    if (origin !== undefined) counts.set(origin, (counts.get(origin) ?? 0) + 1);
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most && most[1] * 2 > urls.length ? most[0] : null;
}

function withoutOrigin(url: string, origin: string | null): string {
  if (origin === null) return url;
  const rest = url.startsWith(origin) ? url.slice(origin.length) : '';
  return rest.startsWith('/') ? rest : url;
}

function withoutScheme(url: string): string {
  return url.replace(/^https?:\/\/(?=[^/])/, '');
}

/** Replaces invisible and bidirectional control characters with symbols. */
export function visible(text: string): string {
  const shown = text
    .slice(0, 10_000)
    .replace(/[\0-\x1f]/g, (sign) => String.fromCharCode(0x2400 + sign.charCodeAt(0)))
    .replace(/[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, '\ufffd');
  return text.trim() === '' ? `“${shown}”` : shown;
}

/** Splits a text into two parts. Truncating the first one at its end hides the middle of the text. */
export function inTwo(text: string): [head: string, tail: string] {
  const signs = [...text];
  if (signs.length <= 2 * TAIL) return [text, ''];
  return [signs.slice(0, -TAIL).slice(0, MAX_LENGTH).join(''), signs.slice(-TAIL).join('')];
}

/** Returns a referrer that is safe to open, or `null` for any other text. */
export function linkOf(key: string | null): string | null {
  if (key === null || !/^https?:\/\//i.test(key)) return null;
  return URL.canParse(key) ? key : null;
}
