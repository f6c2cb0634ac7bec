import { BUDGET_NOTE, NO_KEY, OVER_BUDGET, SUMMARY_LABELS } from '../../../src/formats/labels.ts';

/** Maximum number of characters. A row never has room for more. */
const MAX_LENGTH = 400;
/** Characters at the end of a truncated text that remain visible. */
const TAIL = 14;
/** Maximum length of the second part, if it starts where texts differ. */
const MAX_TAIL = 24;
/** Characters at the beginning of a truncated text that have room in every row. */
const HEAD = 20;
/** Characters before the first difference, for context. */
const LEAD = 4;
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

let countries: Intl.DisplayNames | undefined;
let languages: Intl.DisplayNames | undefined;

export interface KeyText {
  text: string;
  /** Complete key. */
  title: string;
  /** Symbol in front of the text. */
  mark?: string;
  /** Position from which the text differs from similar ones nearby, in code points. */
  differsFrom?: number;
}

/** Returns the display texts of the keys of a list, and where each differs from the most similar other one. */
export function keyTexts(summary: string, keys: readonly (string | null)[]): KeyText[] {
  const origin = summary === 'urls' ? sharedOrigin(keys) : null;
  const texts = keys.map((key) => keyText(summary, key, origin));
  const positions = differencesOf(texts.map(({ text }) => text));
  return texts.map((text, index) => ({ ...text, differsFrom: positions[index]! }));
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

/**
 * Splits a text into two parts. Truncating the first one at its end hides the middle of the text. A text with
 * right-to-left characters is not split, because its parts would be read in the wrong order.
 * @param from Position from which the text differs from similar ones, in code points. The second part includes it.
 */
export function inTwo(text: string, from = Number.POSITIVE_INFINITY): [head: string, tail: string] {
  const signs = [...text];
  if (signs.length <= 2 * TAIL || RIGHT_TO_LEFT.test(text)) {
    return [signs.length <= MAX_LENGTH ? text : signs.slice(0, MAX_LENGTH).join(''), ''];
  }
  const end = signs.length - TAIL;
  const at = from < HEAD ? end : Math.max(TAIL, Math.min(end, from - LEAD));
  const tail = signs.slice(at);
  const rest = tail.length <= MAX_TAIL ? tail : [...tail.slice(0, MAX_TAIL - 1), '…'];
  return [signs.slice(0, at).slice(0, MAX_LENGTH).join(''), rest.join('')];
}

/** Returns for each text the position from which it differs from the most similar other one, in code points. */
export function differencesOf(texts: readonly string[]): number[] {
  const positions = new Map<string, number>();
  // The most similar text is a neighbor in the sorted list.
  const sorted = [...new Set(texts)].sort();
  for (const [at, text] of sorted.entries()) {
    const next = sorted[at + 1] ?? '';
    const same = sharedStart([...text], [...next]);
    positions.set(text, Math.max(positions.get(text) ?? 0, same));
    positions.set(next, same);
  }
  return texts.map((text) => positions.get(text)!);
}

function sharedStart(one: readonly string[], other: readonly string[]): number {
  const at = one.findIndex((sign, index) => sign !== other[index]);
  return at < 0 ? one.length : at;
}

/** Returns a referrer that is safe to open, or `null` for any other text. */
export function linkOf(key: string | null): string | null {
  if (key === null || !/^https?:\/\//i.test(key)) return null;
  return URL.canParse(key) ? key : null;
}
