import { closeOnFailure } from '../../storage/close-on-failure.ts';
import type { StorageReader, StorageWriter, WriterContext } from '../../storage/contract.ts';
import { type ClickhouseClient, Statements } from './client.ts';
import type { ClickhouseLocation } from './index.ts';
import { ClickhouseReader } from './reader.ts';
import { checkReadable, setUp, tablesOf } from './schema.ts';
import { ClickhouseWriter } from './writer.ts';

/**
 * Opens the writing end.
 * @param close Closes the client. Omitted for a client of the user's.
 */
export async function openWriter(
  client: ClickhouseClient,
  place: ClickhouseLocation,
  context: WriterContext,
  close = async () => {},
): Promise<StorageWriter> {
  return closeOnFailure(close, async () => {
    const statements = new Statements(client);
    const tables = await tablesOf(statements, place);
    const setUpAgain = () => setUp(statements, tables, place, context);
    return new ClickhouseWriter(statements, tables, context.site, await setUpAgain(), setUpAgain, close);
  });
}

export async function openReader(
  client: ClickhouseClient,
  place: ClickhouseLocation,
  close = async () => {},
): Promise<StorageReader> {
  return closeOnFailure(close, async () => {
    const statements = new Statements(client);
    const tables = await tablesOf(statements, place);
    await checkReadable(statements, tables, place);
    return new ClickhouseReader(statements, tables, close);
  });
}
