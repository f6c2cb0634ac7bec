import type { TestServer } from '../../../src/testing/index.ts';

/**
 * A server for the suite, which asks for it before it runs; `undefined` for one that somebody else started.
 * @param given Its URL.
 */
export function laterServer(given: string | undefined, find: () => TestServer): TestServer | undefined {
  if (given) return undefined;
  return {
    get port() {
      return find().port;
    },
    stop: () => find().stop(),
    start: () => find().start(),
  };
}
