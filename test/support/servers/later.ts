import type { TestServer } from '../../../src/testing/index.ts';

/**
 * Returns a server for the suite, which starts after the suite is defined; `undefined` for an external one.
 * @param given URL of the external server.
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
