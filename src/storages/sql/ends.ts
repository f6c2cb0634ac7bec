import { TrackUsageError } from '../../errors.ts';
import type { StorageReader, StorageWriter, WriterContext } from '../contract.ts';
import { orClose } from '../or-close.ts';

/** Both ends in the app's thread. */
export interface AppEnds {
  openWriter(context: WriterContext): Promise<StorageWriter>;
  openReader(): Promise<StorageReader>;
}

/** Where both ends run: see `WritingEnd`. */
export type Ends<Options> = { module: string; options: Options } | AppEnds;

/** How an engine opens its ends, once it has a session. */
export interface Opening<Session> {
  openWriter(session: Session, context: WriterContext): Promise<StorageWriter>;
  openReader(session: Session): Promise<StorageReader>;
}

/**
 * Opens the ends of an engine; a session with which that fails is closed.
 * @param isReadable Whether there is anything to read.
 */
export function openingOf<Session extends { readonly label: string; close(): Promise<void> }>(engine: {
  writer(session: Session, context: WriterContext): Promise<StorageWriter>;
  isReadable(session: Session): Promise<boolean>;
  reader(session: Session): StorageReader;
}): Opening<Session> {
  return {
    openWriter: (session, context) =>
      orClose(
        () => session.close(),
        () => engine.writer(session, context),
      ),
    openReader: (session) =>
      orClose(
        () => session.close(),
        async () => {
          if (await engine.isReadable(session)) return engine.reader(session);
          throw new TrackUsageError('STORAGE_NOT_FOUND', { value: session.label });
        },
      ),
  };
}

/** How many questions are asked of the server at the same time. */
export const READERS = 4;

/** Records of a batch: of a larger one fewer rows of the summaries have to be changed. */
const MAX_RECORDS = 65_536;
/** The same in the app's thread, which does nothing else while it encodes them. */
const MAX_RECORDS_OF_APP = 4_096;

/** @param inThread The most in a thread of their own. Defaults to 65,536. */
export function maxRecordsOf(ends: Ends<unknown>, inThread = MAX_RECORDS): number {
  return 'module' in ends ? inThread : MAX_RECORDS_OF_APP;
}

/** @param connect Gives a session with so many connections. */
export function endsInApp<Session>(
  opening: Opening<Session>,
  connect: (connections: number) => Session | Promise<Session>,
): AppEnds {
  return {
    openWriter: async (context) => opening.openWriter(await connect(1), context),
    openReader: async () => opening.openReader(await connect(READERS)),
  };
}

/** What holds a function cannot cross to a thread. */
export function hasFunctions(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  return Object.values(value).some(hasFunctions);
}
