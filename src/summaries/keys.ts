import { hookFailed, show, type TrackUsageError } from '../errors.ts';
import { ignoreRejection } from '../platform/promises.ts';
import { cut } from '../text/text.ts';

/**
 * Maximum length of a key in a user-defined summary, in UTF-16 units. Longer keys are truncated and end with
 * a hash.
 */
export const KEY_LIMIT = 512;
/** Maximum number of keys of one record in a summary. */
export const MAX_KEYS_PER_RECORD = 16;

/**
 * Returns the result of a key function as keys that can be stored: without duplicates, `[]` for none. Throws
 * for invalid keys.
 */
export function keysOf(answer: unknown): string[] {
  if (answer === null || answer === undefined || answer === '') return [];
  if (typeof answer === 'string') return [storable(answer)];
  if (!Array.isArray(answer)) throw notAKey(kindOf(answer));
  const keys = new Set<string>();
  for (const key of answer) {
    if (typeof key !== 'string') throw notAKey(`a list with ${kindsOf(answer)}`);
    if (key !== '') keys.add(storable(key));
    // The list may be endless.
    if (keys.size > MAX_KEYS_PER_RECORD)
      throw new RangeError(`it returned more than ${MAX_KEYS_PER_RECORD} keys`);
  }
  return [...keys];
}

/** Creates the problem that is reported if a key function throws or returns invalid keys. */
export function keyFailed(summary: string, error: unknown): TrackUsageError {
  return hookFailed(
    `the key function of the summary "${summary}"`,
    'the request counts under null in this summary',
    error,
  );
}

function storable(key: string): string {
  const whole = key.isWellFormed() ? key : key.toWellFormed();
  // Some databases cannot store NUL.
  return cut(whole.includes('\0') ? whole.replaceAll('\0', '\ufffd') : whole, KEY_LIMIT);
}

function notAKey(what: string): TypeError {
  return new TypeError(`it returned ${what}, expected a string, several, or null`);
}

/** Returns the type of an invalid key. The contents of an object may be large or confidential. */
function kindOf(answer: unknown): string {
  if (ignoreRejection(answer)) return 'a promise';
  return typeof answer === 'object' && answer !== null ? 'an object' : show(answer);
}

/** Returns the type of the first invalid key. Ignores the rejections of all promises. */
function kindsOf(answer: readonly unknown[]): string {
  return answer
    .slice(0, 1_000)
    .filter((key) => typeof key !== 'string')
    .map(kindOf)[0]!;
}
