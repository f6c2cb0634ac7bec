import { createHash } from 'node:crypto';

/**
 * Maximum length of each text field, in UTF-16 units. A longer text is truncated and ends with a hash of the
 * whole, so that long keys stay distinct.
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
  /** JSON of route parameters and vars. Longer JSON is omitted. */
  extra: 16_384,
  /** JSON of the keys in user-defined summaries, in addition to `extra`. */
  keys: 16_384,
} as const;

/** Returns the text, truncated to `limit`. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  let keep = limit - hash.length - 1;
  // Does not split a surrogate pair.
  if (isHighSurrogate(text.charCodeAt(keep - 1))) keep -= 1;
  return `${text.slice(0, keep)}#${hash}`;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** Returns a text as it is stored: without NUL and lone surrogates. Queries compare with this form. */
export function asStored(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}

/** Returns JSON without escapes of NUL and lone surrogates, which database engines refuse. */
export function fitForEngines(json: string): string {
  // Complete pairs are not escaped, so an escape in this range is a lone surrogate.
  return json.replace(/\\(?:u0000|ud[89a-f]..|(.))/g, (whole, other?: string) =>
    other === undefined ? '\ufffd' : whole,
  );
}
