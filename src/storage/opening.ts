import { checkReadable } from './checks.ts';
import { closeOnFailure } from './close-on-failure.ts';
import type { StorageModule, StorageReader, StorageWriter, WriterContext } from './contract.ts';

/** Connection to a database, for one writer or one reader. */
export interface EngineSession {
  /** Label of the storage. */
  readonly label: string;
  /** Disconnects. Does nothing for a client of the user's. */
  close(): Promise<void>;
}

/** Operations that open the writer and the reader of an engine on a session. */
export interface Engine<Session> {
  /** Newest schema version that this release supports. */
  readonly schemaVersion: number;
  /** Returns the schema version of the stored data; `undefined` if there is none. */
  versionOf(session: Session): Promise<number | undefined>;
  /** Creates or migrates the schema, and returns the writer. */
  writer(session: Session, context: WriterContext): Promise<StorageWriter>;
  /** Returns the reader. Called only if the stored data can be read. */
  reader(session: Session): StorageReader | Promise<StorageReader>;
}

/** Writer and reader that run in the app's thread. */
export interface AppOpeners {
  openWriter(context: WriterContext): Promise<StorageWriter>;
  openReader(): Promise<StorageReader>;
}

/** Location of the writer and reader: a module for their threads, or the app's thread. See `WriterLocation`. */
export type Openers<Options> = { module: string; options: Options } | AppOpeners;

/** Maximum number of concurrent queries sent to the server. */
const READERS = 4;

/** Opens a session with the given number of connections. */
type Connect<Session> = (connections: number) => Session | Promise<Session>;

/** Opens the writer of an engine. */
async function openWriter<Session extends EngineSession>(
  engine: Engine<Session>,
  connect: Connect<Session>,
  context: WriterContext,
): Promise<StorageWriter> {
  const session = await connect(1);
  return closeOnFailure(
    () => session.close(),
    () => engine.writer(session, context),
  );
}

/** Opens the reader of an engine. */
async function openReader<Session extends EngineSession>(
  engine: Engine<Session>,
  connect: Connect<Session>,
): Promise<StorageReader> {
  const session = await connect(READERS);
  return closeOnFailure(
    () => session.close(),
    async () => {
      checkReadable(await engine.versionOf(session), engine.schemaVersion, session.label);
      return engine.reader(session);
    },
  );
}

/** Runs the writer and reader of an engine in the app's thread. */
export function openersInApp<Session extends EngineSession>(
  engine: Engine<Session>,
  connect: Connect<Session>,
): AppOpeners {
  return {
    openWriter: (context) => openWriter(engine, connect, context),
    openReader: () => openReader(engine, connect),
  };
}

/** Returns the functions that the module of an engine exports to the threads. */
export function moduleOf<Session extends EngineSession, Options>(
  engine: Engine<Session>,
  connect: (options: Options, connections: number) => Session | Promise<Session>,
): Required<StorageModule> {
  const connectTo = (options: unknown) => (connections: number) => connect(options as Options, connections);
  return {
    openWriter: (options, context) => openWriter(engine, connectTo(options), context),
    openReader: (options) => openReader(engine, connectTo(options)),
  };
}

/** Maximum number of records per batch, by the thread that the writer runs in. */
export interface BatchLimits {
  /** Defaults to 32,768. */
  inThread?: number;
  /** Lower, since the app's thread is blocked while it encodes a batch. */
  inApp: number;
}

/** Returns the maximum number of records per batch. */
export function maxRecordsOf(
  openers: Openers<unknown>,
  { inThread, inApp }: BatchLimits,
): number | undefined {
  return 'module' in openers ? inThread : inApp;
}

/** Returns whether a value contains functions. Such a value cannot be passed to a thread. */
export function hasFunctions(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  return Object.values(value).some(hasFunctions);
}
