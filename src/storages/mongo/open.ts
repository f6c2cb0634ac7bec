import { closeOnFailure } from '../../storage/close-on-failure.ts';
import type { StorageReader, StorageWriter, WriterContext } from '../../storage/contract.ts';
import { Collections, type MongoDatabase } from './collections.ts';
import { MongoReader } from './reader.ts';
import { checkReadable, setUp } from './schema.ts';
import { MongoWriter } from './writer.ts';

/**
 * Opens the writing end.
 * @param close Closes the client. Omitted for a client of the user's.
 */
export function openWriter(
  place: MongoDatabase,
  context: WriterContext,
  close = async () => {},
): Promise<StorageWriter> {
  return closeOnFailure(close, async () => {
    const collections = new Collections(place);
    await setUp(collections, context);
    return new MongoWriter(collections, context, close);
  });
}

export function openReader(place: MongoDatabase, close = async () => {}): Promise<StorageReader> {
  return closeOnFailure(close, async () => {
    const collections = new Collections(place);
    await checkReadable(collections);
    return new MongoReader(collections, close);
  });
}
