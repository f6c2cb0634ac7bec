/**
 * What a function of the user's returned, where it is needed at once. A promise is no answer (it would pass for a
 * yes), and its failure, which nobody waits for, would end the process.
 */
export function atOnce<T>(answer: T): T {
  if (typeof answer === 'object' && answer !== null && 'then' in answer) {
    Promise.resolve(answer).catch(() => {});
    throw new TypeError('it returned a promise, and the answer is needed at once');
  }
  return answer;
}
