import type { Writable } from 'node:stream';
import { fileReason, TrackUsageError } from '../errors.ts';

/** Output of the CLI, and properties of its environment. */
export interface Io {
  /** Writes text. May return a promise, which is awaited; its rejection ends the output. */
  stdout: (text: string) => unknown;
  stderr: (text: string) => unknown;
  /** True if `stdout` is a terminal. */
  isTTY: boolean;
  /** True if `stderr` is a terminal, on which a line can be overwritten. Defaults to false. */
  showsProgress?: boolean;
  /** Width of the terminal; `undefined` for no limit. */
  columns: number | undefined;
  env: Readonly<Record<string, string | undefined>>;
}

/** Number of characters buffered before they are written. */
const CHUNK = 65_536;

export function processIo(): Io {
  const { stdout, stderr, env } = process;
  return {
    stdout: writeTo(stdout),
    // An error on stderr cannot be reported anywhere.
    stderr: (text) => writeTo(stderr)(text).catch(() => {}),
    isTTY: stdout.isTTY === true,
    showsProgress: stderr.isTTY === true,
    columns: stdout.columns || undefined,
    env,
  };
}

/** Writes the lines in large chunks, and waits until each is read. */
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

/** Thrown if the reader of a pipe has closed it, for example `head`. */
export class OutputClosed extends Error {}

/**
 * Marks errors of a closed output. A database connection may fail with the same code, which must not end the
 * output.
 */
export function withClosedOutput(io: Io): Io {
  return {
    ...io,
    async stdout(text) {
      try {
        await io.stdout(text);
      } catch (cause) {
        const isClosed = (cause as { code?: unknown } | null)?.code === 'EPIPE';
        if (isClosed) throw new OutputClosed('the output was closed', { cause });
        const reason = fileReason(cause);
        throw new TrackUsageError('FILE_UNWRITABLE', { value: 'the output', reason }, { cause });
      }
    },
  };
}

function writeTo(stream: Writable): (text: string) => Promise<void> {
  // The promise reports the error. Without a listener, the event would end the process with a stack trace.
  if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  return (text) =>
    new Promise((resolve, reject) => {
      stream.write(text, (error) => (error ? reject(error) : resolve()));
    });
}

/** Thrown by a command that succeeded with an empty result. The message is printed unchanged. */
export class NothingFound extends Error {}

/** Thrown by a command that printed what it found, which is a failure. The message is printed unchanged. */
export class Unsuccessful extends Error {}
