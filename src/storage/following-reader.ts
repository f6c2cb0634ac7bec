import { type CompleteReader, complete, type QueryName } from './complete-reader.ts';
import type { StorageReader } from './contract.ts';

interface Opened {
  reader: StorageReader;
  complete: CompleteReader;
  /** Number of queries in progress. */
  queries: number;
}

/**
 * Reading end that follows its database. The first query opens it, and a failure is retried by the next one
 * (an app may query before its database exists). It is reopened if its location leads to another database.
 */
export class FollowingReader {
  readonly #open: () => Promise<StorageReader>;
  #opening: Promise<Opened> | undefined;

  constructor(open: () => Promise<StorageReader>) {
    this.#open = open;
  }

  async query(method: QueryName, argument: unknown): Promise<unknown> {
    const opened = await this.#take();
    try {
      return await opened.complete[method](argument as never);
    } finally {
      opened.queries -= 1;
      await this.#closeIfLeft(opened);
    }
  }

  /** Returns the reading end of the current database, reserved for one query. */
  async #take(): Promise<Opened> {
    const opening = this.#opening ?? this.#start();
    const opened = await opening;
    if (opened.reader.isReplaced?.() !== true) {
      opened.queries += 1;
      return opened;
    }
    // Only the first of several concurrent queries opens the other database.
    if (this.#opening === opening) this.#opening = undefined;
    await this.#closeIfLeft(opened);
    return this.#take();
  }

  #start(): Promise<Opened> {
    const opening = this.#open().then((reader) => ({ reader, complete: complete(reader), queries: 0 }));
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    return opening;
  }

  /** Closes a database that is no longer the current one, after its last query. */
  async #closeIfLeft(opened: Opened): Promise<void> {
    if (opened.queries > 0) return;
    const current = await this.#opening?.catch(() => undefined);
    if (current !== opened && opened.queries === 0) await opened.reader.close();
  }
}
