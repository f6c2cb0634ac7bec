import { type CompleteReader, complete, type QuestionName } from './complete-reader.ts';
import type { StorageReader } from './contract.ts';

interface Opened {
  reader: StorageReader;
  complete: CompleteReader;
  /** Queries that are under way. */
  queries: number;
}

/**
 * A reading end that is opened by the first query, tried again by the next one where that fails (an app may ask before
 * its database exists), and opened anew when its place leads to another database.
 */
export class FollowingReader {
  readonly #open: () => Promise<StorageReader>;
  #opening: Promise<Opened> | undefined;

  constructor(open: () => Promise<StorageReader>) {
    this.#open = open;
  }

  async ask(method: QuestionName, argument: unknown): Promise<unknown> {
    const opened = await this.#take();
    try {
      return await opened.complete[method](argument as never);
    } finally {
      opened.queries -= 1;
      await this.#closeIfLeft(opened);
    }
  }

  /** The reading end of the database that is at its place now, for one query more. */
  async #take(): Promise<Opened> {
    const opening = this.#opening ?? this.#start();
    const opened = await opening;
    if (opened.reader.isReplaced?.() !== true) {
      opened.queries += 1;
      return opened;
    }
    // Of several queries, the first one opens the other database.
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

  /** A database that is no longer the current one is closed when nobody reads it. */
  async #closeIfLeft(opened: Opened): Promise<void> {
    if (opened.queries > 0) return;
    const current = await this.#opening?.catch(() => undefined);
    if (current !== opened && opened.queries === 0) await opened.reader.close();
  }
}
