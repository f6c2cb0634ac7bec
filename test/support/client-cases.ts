import { type Subject, storageCases, type TestCase } from '../../src/testing/index.ts';

/**
 * Returns the cases of the conformance suite that can depend on how the client of a database is created: writing,
 * faults, records as they are read, and every query once. The other queries send the same commands with any client.
 */
export function clientCases(subject: Subject): TestCase[] {
  return storageCases(subject).filter(({ name }) =>
    /^(an app|batches|faults|interfaces|processes|records): /.test(name),
  );
}
