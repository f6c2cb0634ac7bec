import { hookFailed, show, type TrackUsageError } from '../errors.ts';
import { letGo } from '../platform/promises.ts';
import { cut } from '../text/text.ts';

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
  if (!Array.isArray(answer)) throw notAKey(kindOf(answer));
  const keys = new Set<string>();
  for (const key of answer) {
    if (typeof key !== 'string') throw notAKey(`a list with ${kindsOf(answer)}`);
    if (key !== '') keys.add(storable(key));
    // Of a list without end the rest is not looked at.
    if (keys.size > MOST_KEYS) throw new RangeError(`it returned more than ${MOST_KEYS} keys`);
  }
  return [...keys];
}

/** The problem that is reported when a key function throws, or returns invalid keys. */
export function keyFailed(summary: string, error: unknown): TrackUsageError {
  return hookFailed(
    `the key function of the summary "${summary}"`,
    'the request counts under null in this summary',
    error,
  );
}

function storable(key: string): string {
  const whole = key.isWellFormed() ? key : key.toWellFormed();
  // NUL is what some databases cannot store.
  return cut(whole.includes('\0') ? whole.replaceAll('\0', '\ufffd') : whole, KEY_LIMIT);
}

function notAKey(what: string): TypeError {
  return new TypeError(`it returned ${what}, expected a string, several, or null`);
}

/** What is no text. Of an object not what is in it: that may be large, and nobody else's business. */
function kindOf(answer: unknown): string {
  if (letGo(answer)) return 'a promise';
  return typeof answer === 'object' && answer !== null ? 'an object' : show(answer);
}

/** The kind of the first that is no text; every promise is let go. */
function kindsOf(answer: readonly unknown[]): string {
  return answer
    .slice(0, 1_000)
    .filter((key) => typeof key !== 'string')
    .map(kindOf)[0]!;
}
