import { type CompleteReader, complete, forwardingReader, type QueryName } from './complete-reader.ts';
import type { StorageReader } from './contract.ts';

/**
 * Creates a reading end in the app's thread. It is opened by the first query, and again after it was closed.
 */
export function lazyReader(open: () => Promise<StorageReader>): CompleteReader {
  let reader: Promise<CompleteReader> | undefined;
  /** A failed attempt to open it is repeated by the next query. */
  const get = () => {
    const opening = reader ?? open().then(complete);
    reader = opening;
    opening.catch(() => {
      if (reader === opening) reader = undefined;
    });
    return opening;
  };
  return forwardingReader(
    async (method: QueryName, argument) => (await get())[method](argument as never),
    async () => {
      const closing = reader;
      reader = undefined;
      await (await closing?.catch(() => undefined))?.close();
    },
  );
}
