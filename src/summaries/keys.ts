import { show } from '../errors.ts';
import { cut } from '../text.ts';

/** The longest key of a user's own summary, in UTF-16 units; what is longer is cut and ends with a hash. */
export const KEY_LIMIT = 512;
/** The most keys that one record can have in a summary. */
export const MOST_KEYS = 16;

/**
 * What a key function returned, made fit to be stored: each key once, `[]` where there is none. Throws for what is
 * no key.
 */
export function keysOf(answer: unknown): string[] {
  if (answer === null || answer === undefined || answer === '') return [];
  if (typeof answer === 'string') return [storable(answer)];
  if (!Array.isArray(answer)) throw notAKey(answer);
  const keys = new Set<string>();
  for (const key of answer) {
    if (typeof key !== 'string') throw notAKey(answer);
    if (key !== '') keys.add(storable(key));
  }
  if (keys.size > MOST_KEYS) throw new RangeError(`it returned ${keys.size} keys, at most ${MOST_KEYS} fit`);
  return [...keys];
}

function storable(key: string): string {
  const whole = key.isWellFormed() ? key : key.toWellFormed();
  // NUL is what some databases cannot store.
  return cut(whole.includes('\0') ? whole.replaceAll('\0', '\ufffd') : whole, KEY_LIMIT);
}

function notAKey(answer: unknown): TypeError {
  const shown = answer instanceof Promise ? 'a promise' : show(answer);
  return new TypeError(`it returned ${shown}, expected a string, several, or null`);
}
