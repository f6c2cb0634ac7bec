import type { Storage } from '../query/storage.ts';
import type { Hook } from '../storage/writer.ts';
import { coverageCases } from './coverage.ts';
import { faultCases } from './faults.ts';
import { filterCases } from './filters.ts';
import { interfaceCases } from './interfaces.ts';
import { lifeCases } from './life.ts';
import { queryCases } from './queries.ts';
import type { Interface } from './query-client.ts';
import { recordCases } from './records.ts';
import { sumCases } from './sums.ts';

export { type Cut, CuttingProxy } from './proxy.ts';

/** A server that the tests may stop and start. */
export interface TestServer {
  /** On 127.0.0.1. */
  port: number;
  /** Ends it at once, as a crash would. */
  stop(): Promise<void>;
  /** Starts it again, on the same port, with what it had. */
  start(): Promise<void>;
}

/** An empty place of its own for one test: a file, a database, a schema. */
export interface TestLocation {
  /**
   * A storage at that place. Each call gives a new one.
   * @param port Instead of the server's: that of a proxy before it.
   */
  storage(hooks?: readonly Hook[], port?: number): Storage;
  /** What `--storage` of the command line names, where a subject is asked by it. */
  url?: string;
  /** Removes all of it. */
  remove(): Promise<void>;
}

/** What a storage may be unable to do. */
export type Capability =
  /** Several processes write to the same place. */
  | 'processes'
  /** Every record is kept, whatever their number. */
  | 'records';

/** A storage, as the conformance suite wants it. */
export interface Subject {
  name: string;
  place(): Promise<TestLocation>;
  /** Where it talks to one. */
  server?: TestServer;
  /** By which interfaces it is asked what users ask. Defaults to the library alone. */
  interfaces?: readonly Interface[];
  /** What it cannot do, and why. */
  cannot?: Partial<Record<Capability, string>>;
}

/** A test: to be given to any runner, as `test(name, run)`. Rejects where it fails. */
export interface TestCase {
  name: string;
  run(): Promise<void>;
}

/**
 * The conformance suite: what every storage must do, with the same answers. A case that needs a capability which the
 * storage has not is left out, and so are those about connections for one that has none.
 *
 * ```js
 * for (const { name, run } of storageCases(subject)) test(name, run);
 * ```
 */
export function storageCases(subject: Subject): TestCase[] {
  return [
    recordCases,
    sumCases,
    queryCases,
    coverageCases,
    filterCases,
    interfaceCases,
    lifeCases,
    faultCases,
  ].flatMap((cases) => cases(subject));
}
