import type { Storage } from '../query/storage.ts';
import type { Hook } from '../storage/writer.ts';
import type { QueryInterface } from './query-client.ts';

/** A database server that cases stop and start. */
export interface TestServer {
  /** Port on 127.0.0.1. */
  port: number;
  /** Kills the server, as a crash would. */
  stop(): Promise<void>;
  /** Starts the server again, on the same port and with the same data. */
  start(): Promise<void>;
}

/** An empty location for one case: a file, a database, a schema. */
export interface TestLocation {
  /**
   * Creates a storage at the location.
   * @param port Port to connect to instead of the server's: that of a proxy.
   */
  storage(hooks?: readonly Hook[], port?: number): Storage;
  /** Value of the command line's option `--storage`. Required for the interface `cli`. */
  url?: string;
  /**
   * Returns whether the files of the database, or a dump of it, contain a text. Without it, cases about deleted data
   * only query.
   */
  contains?(text: string): Promise<boolean>;
  /** Removes the location and its data. */
  remove(): Promise<void>;
}

/** Capability that a storage may lack. */
export type Capability =
  /** Writing to one location from several processes. */
  | 'processes'
  /** Keeping every record, whatever their number. */
  | 'records'
  /** Deleting: see `StorageMaintenance`, and sums that become 0. */
  | 'maintenance'
  /** Limiting the number of keys per bucket. */
  | 'maxKeys'
  /** Keeping the keys of daily visitors. */
  | 'visitorKeys';

/** A storage under test. */
export interface Subject {
  /** Name of the storage, for the titles of your tests. */
  name: string;
  /** Creates an empty location. Called once per case. */
  createLocation(): Promise<TestLocation>;
  /** The storage's server. Without one, cases about lost connections are omitted. */
  server?: TestServer;
  /**
   * Share of the records with which large cases run, from 0 to 1, for a test server that is slow. Defaults to 1.
   */
  share?: number;
  /** Interfaces through which every case queries the storage. Defaults to the library alone. */
  interfaces?: readonly QueryInterface[];
  /** Capabilities that the engine lacks, with the reason for each. */
  cannot?: Partial<Record<Capability, string>>;
}

/** One test, for any runner: `test(name, run)`. `run` rejects if the test fails. */
export interface TestCase {
  /** Name of the case, which begins with its topic. */
  name: string;
  /** Runs the case, and removes what it created. Rejects if the test fails. */
  run(): Promise<void>;
}
