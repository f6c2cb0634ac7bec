import { TrackUsageError } from '../../errors.ts';
import { closeOnFailure } from '../../storage/close-on-failure.ts';
import type { StorageReader, StorageWriter, WriterContext } from '../../storage/contract.ts';

/** Writer and reader that run in the app's thread. */
export interface AppWriters {
  openWriter(context: WriterContext): Promise<StorageWriter>;
  openReader(): Promise<StorageReader>;
}

/** Location of the writer and reader: a module for their threads, or the app's thread. See `WriterLocation`. */
export type Ends<Options> = { module: string; options: Options } | AppWriters;

/** Opens the writer and reader of an engine, given a session. */
export interface Opening<Session> {
  openWriter(session: Session, context: WriterContext): Promise<StorageWriter>;
  openReader(session: Session): Promise<StorageReader>;
}

/**
 * Opens the writer and reader of an engine. Closes the session if opening fails.
 * @param isReadable Returns whether there is any data to read.
 */
export function openingOf<Session extends { readonly label: string; close(): Promise<void> }>(engine: {
  writer(session: Session, context: WriterContext): Promise<StorageWriter>;
  isReadable(session: Session): Promise<boolean>;
  reader(session: Session): StorageReader;
}): Opening<Session> {
  return {
    openWriter: (session, context) =>
      closeOnFailure(
        () => session.close(),
        () => engine.writer(session, context),
      ),
    openReader: (session) =>
      closeOnFailure(
        () => session.close(),
        async () => {
          if (await engine.isReadable(session)) return engine.reader(session);
          throw new TrackUsageError('STORAGE_NOT_FOUND', { value: session.label });
        },
      ),
  };
}

/** Maximum number of concurrent queries sent to the server. */
export const READERS = 4;

/** Maximum number of records per batch. Larger batches change fewer rows of the summaries. */
const MAX_RECORDS = 65_536;
/** The same limit in the app's thread, which is blocked while it encodes a batch. */
const MAX_RECORDS_OF_APP = 4_096;

/**
 * Returns the maximum number of records per batch.
 * @param inThread Maximum in a separate thread. Defaults to 65,536.
 */
export function maxRecordsOf(ends: Ends<unknown>, inThread = MAX_RECORDS): number {
  return 'module' in ends ? inThread : MAX_RECORDS_OF_APP;
}

/**
 * Runs the writer and reader in the app's thread.
 * @param connect Opens a session with the given number of connections.
 */
export function endsInApp<Session>(
  opening: Opening<Session>,
  connect: (connections: number) => Session | Promise<Session>,
): AppWriters {
  return {
    openWriter: async (context) => opening.openWriter(await connect(1), context),
    openReader: async () => opening.openReader(await connect(READERS)),
  };
}

/** Returns whether a value contains functions. Such a value cannot be passed to a thread. */
export function hasFunctions(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  return Object.values(value).some(hasFunctions);
}
