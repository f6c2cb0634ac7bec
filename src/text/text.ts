import { createHash } from 'node:crypto';

/**
 * The longest text of each field, in UTF-16 units. What is longer is cut and ends with a hash of the whole, so
 * that two long keys stay two.
 */
export const TEXT_LIMITS = {
  method: 32,
  url: 4096,
  route: 1024,
  blueprint: 1024,
  protocol: 16,
  remoteAddr: 64,
  forwardedFor: 1024,
  agent: 1024,
  acceptLanguage: 256,
  referrer: 2048,
  username: 256,
  visitor: 64,
  /** JSON of route parameters and vars; longer is left out. */
  extra: 16_384,
  /** JSON of the keys in the user's own summaries, beside those. */
  keys: 16_384,
} as const;

/** The text, cut to `limit`. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  let keep = limit - hash.length - 1;
  // Not between the two halves of one character.
  if (isHighSurrogate(text.charCodeAt(keep - 1))) keep -= 1;
  return `${text.slice(0, keep)}#${hash}`;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** A text as it is stored: without NUL and halves of surrogate pairs. Questions compare with nothing else. */
export function asStored(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}

/** JSON without NUL and halves of surrogate pairs, which it may hold as escapes and database engines refuse. */
export function fitForEngines(json: string): string {
  // Whole pairs are written as they are, so that an escape in this range is half of one.
  return json.replace(/\\(?:u0000|ud[89a-f]..|(.))/g, (whole, other?: string) =>
    other === undefined ? '\ufffd' : whole,
  );
}
