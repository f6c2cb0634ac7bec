import type { Writable } from 'node:stream';

/** Where the CLI writes, and what it knows of the place. */
export interface Io {
  /** May return a promise: it is awaited, and its rejection ends the output. */
  stdout: (text: string) => unknown;
  stderr: (text: string) => unknown;
  /** Whether `stdout` is a terminal. */
  isTTY: boolean;
  /** Whether `stderr` is a terminal, on which a line may be written over. Defaults to false. */
  showsProgress?: boolean;
  /** Width of the terminal; `undefined` for no limit. */
  columns: number | undefined;
  env: Readonly<Record<string, string | undefined>>;
}

/** Characters that are gathered before they are written. */
const CHUNK = 65_536;

export function processIo(): Io {
  const { stdout, stderr, env } = process;
  return {
    stdout: writeTo(stdout),
    // Where nobody can be told, nothing can be done about it.
    stderr: (text) => writeTo(stderr)(text).catch(() => {}),
    isTTY: stdout.isTTY === true,
    showsProgress: stderr.isTTY === true,
    columns: stdout.columns || undefined,
    env,
  };
}

/** Writes the lines in large pieces, and no faster than they are read. */
export async function print(io: Io, lines: Iterable<string>): Promise<void> {
  let text = '';
  for (const line of lines) {
    text += line;
    if (text.length < CHUNK) continue;
    await io.stdout(text);
    text = '';
  }
  if (text !== '') await io.stdout(text);
}

/** The reader of a pipe has closed it, as `head` does when it has enough. */
export class OutputClosed extends Error {}

/** Marks a closed output: a connection to a database may fail with the same code, and that is no end of the output. */
export function withClosedOutput(io: Io): Io {
  return {
    ...io,
    async stdout(text) {
      try {
        await io.stdout(text);
      } catch (cause) {
        const isClosed = (cause as { code?: unknown } | null)?.code === 'EPIPE';
        throw isClosed ? new OutputClosed('the output was closed', { cause }) : cause;
      }
    },
  };
}

function writeTo(stream: Writable): (text: string) => Promise<void> {
  // The promise tells it; an event without a listener would end the process with a stack trace.
  if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  return (text) =>
    new Promise((resolve, reject) => {
      stream.write(text, (error) => (error ? reject(error) : resolve()));
    });
}

/** Thrown by a command that succeeded with an empty result. The message is printed as it is. */
export class NothingFound extends Error {}
