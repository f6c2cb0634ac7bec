import { ignoreRejection } from '../platform/promises.ts';

/**
 * Returns the result of a user's function, which must be synchronous. A promise throws, because it would
 * count as true.
 */
export function requireSynchronous<T>(answer: T): T {
  if (ignoreRejection(answer)) throw new TypeError('it returned a promise, but it must be synchronous');
  return answer;
}
