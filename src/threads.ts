import { Worker, type WorkerOptions } from 'node:worker_threads';
import { reasonOf, TrackUsageError } from './errors.ts';

/**
 * The address of a module beside the one at `base`, to load or to start as a thread. It ends as the asking
 * module does: `.js` in the package, `.ts` when the sources run as they are.
 */
export function moduleUrl(name: string, base: string): string {
  return new URL(`${name}${base.endsWith('.ts') ? '.ts' : '.js'}`, base).href;
}

/**
 * Starts a module as a thread that does not inherit the process's command line. Whoever starts it must `unref` it
 * when its listeners are in place (adding one takes that back), so that it does not keep the process alive.
 */
export function startThread(url: string, options: WorkerOptions): Worker {
  try {
    return new Worker(new URL(url), { execArgv: [], argv: [], ...options });
  } catch (error) {
    throw new TrackUsageError('WRITER_FILE', { value: url, reason: reasonOf(error) }, { cause: error });
  }
}

/** An error as it crosses to another thread, where it would lose its class and code. */
export interface PlainError {
  code: string | undefined;
  mend: string | undefined;
  message: string;
}

export function plainError(error: unknown): PlainError {
  const { code, mend } = error as Partial<PlainError>;
  return { code, mend, message: reasonOf(error) };
}

export function reviveError(plain: PlainError): Error {
  const error =
    plain.mend === undefined ? new Error(plain.message) : Object.create(TrackUsageError.prototype);
  return Object.assign(error, plain);
}
