import { letGo } from '../platform/promises.ts';

/**
 * What a function of the user's returned, where it is needed at once. A promise is no answer: it would pass for a
 * yes.
 */
export function atOnce<T>(answer: T): T {
  if (letGo(answer)) throw new TypeError('it returned a promise, and the answer is needed at once');
  return answer;
}
