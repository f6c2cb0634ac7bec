import { hookFailed, show, type TrackUsageError } from '../errors.ts';
import { ignoreRejection } from '../platform/promises.ts';
import { asStored, cut } from '../text/text.ts';

/**
 * Maximum length of a key in a user-defined summary, in UTF-16 units. Longer keys are truncated and end with
 * a hash.
 */
export const MAX_KEY_LENGTH = 512;
/** Maximum number of keys of one record in a summary. */
export const MAX_KEYS_PER_RECORD = 16;

/**
 * Returns the result of a key function as keys that can be stored: without duplicates, `[]` for none. Throws
 * for invalid keys.
 */
export function keysOf(answer: unknown): string[] {
  if (answer === null || answer === undefined || answer === '') return [];
  if (typeof answer === 'string') return [storable(answer)];
  if (!Array.isArray(answer)) throw invalidKey(kindOf(answer));
  const keys = new Set<string>();
  for (let i = 0; i < answer.length; i++) {
    const key: unknown = answer[i];
    if (typeof key === 'string' && key !== '') keys.add(storable(key));
    // A list may be unbounded.
    if (typeof key === 'string' && keys.size <= MAX_KEYS_PER_RECORD) continue;
    // Rejections of promises in the list would end the process.
    answer.slice(i, i + 1_000).forEach(ignoreRejection);
    if (typeof key !== 'string') throw invalidKey(`a list with ${kindOf(key)}`);
    throw new RangeError(`it returned more than ${MAX_KEYS_PER_RECORD} keys`);
  }
  return [...keys];
}

/** Returns the result of the option `urlKey` as a key that can be stored; `''` for none. Throws for an invalid key. */
export function urlKeyOf(answer: unknown): string {
  if (answer === null || answer === undefined || answer === '') return '';
  if (typeof answer === 'string') return storable(answer);
  if (Array.isArray(answer)) answer.slice(0, 1_000).forEach(ignoreRejection);
  throw invalidKey(Array.isArray(answer) ? 'a list' : kindOf(answer), 'a string or null');
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
  return cut(asStored(key), MAX_KEY_LENGTH);
}

function invalidKey(what: string, expected = 'a string, a list of strings, or null'): TypeError {
  return new TypeError(`it returned ${what}, expected ${expected}`);
}

/** Returns the type of an invalid key. The contents of an object may be large or confidential. */
function kindOf(answer: unknown): string {
  if (ignoreRejection(answer)) return 'a promise';
  return typeof answer === 'object' && answer !== null ? 'an object' : show(answer);
}
