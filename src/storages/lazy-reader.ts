import { type CompleteReader, complete, forwardingReader, type QuestionName } from './complete-reader.ts';
import type { StorageReader } from './contract.ts';

/** A reading end in the app's thread, opened at the first question and again after it was closed. */
export function lazyReader(open: () => Promise<StorageReader>): CompleteReader {
  let reader: Promise<CompleteReader> | undefined;
  /** What could not be opened is tried again at the next question. */
  const get = () => {
    const opening = reader ?? open().then(complete);
    reader = opening;
    opening.catch(() => {
      if (reader === opening) reader = undefined;
    });
    return opening;
  };
  return forwardingReader(
    async (method: QuestionName, argument) => (await get())[method](argument as never),
    async () => {
      const closing = reader;
      reader = undefined;
      await (await closing?.catch(() => undefined))?.close();
    },
  );
}
