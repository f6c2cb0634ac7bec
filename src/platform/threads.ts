import { accessSync, constants } from 'node:fs';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { reasonOf, TrackUsageError } from '../errors.ts';

/**
 * Returns the URL of a module of this package, to be loaded or started as a thread. Its extension is that of
 * the calling module: `.js` in the package, `.ts` when the sources run directly. In a bundle there may be no
 * such file, or no URL at all, so callers must use `checkModule` or `startThread`.
 * @param path Path from the calling module through the package's root, so that a file beside a bundle is not
 * mistaken for it.
 */
export function moduleUrl(path: string, base: string | undefined): string {
  if (base === undefined) return path;
  return new URL(`${path}${base.endsWith('.ts') ? '.ts' : '.js'}`, base).href;
}

/** Throws an error with instructions if the module does not exist or cannot be read. */
export function checkModule(url: string): void {
  try {
    if (!URL.canParse(url)) throw new Error('the bundle does not know its own URL');
    const address = new URL(url);
    if (address.protocol === 'file:') accessSync(address, constants.R_OK);
  } catch (error) {
    throw threadRefusal(url, error);
  }
}

/**
 * Creates the error for a thread that cannot be started. Node's permission model refuses it, or the module's
 * file is missing.
 */
export function threadRefusal(value: string, cause: unknown): TrackUsageError {
  const code =
    (cause as { code?: string }).code === 'ERR_ACCESS_DENIED' ? 'PERMISSION_MISSING' : 'WRITER_FILE';
  return new TrackUsageError(code, { value, reason: reasonOf(cause) }, { cause });
}

/**
 * Returns the flags of Node's permission model on the command line, because a thread without them would be
 * unrestricted. Flags in NODE_OPTIONS are inherited. `--allow-worker` is omitted, because our threads start
 * none. Node's warnings about these flags are suppressed, because the process has already printed them.
 */
function permissionFlags({ execArgv } = process): string[] {
  const flags = execArgv.filter((arg, index) => {
    const isValue = /^--allow-fs-(read|write)$/.test(execArgv[index - 1] ?? '');
    return isValue || (/^--(experimental-)?permission|^--allow-/.test(arg) && arg !== '--allow-worker');
  });
  return flags.length === 0 ? [] : ['--no-warnings', ...flags];
}

/**
 * Starts a module as a thread that inherits only the permission flags of the process. The caller must `unref`
 * it after adding all listeners (adding one undoes it), so that it does not keep the process alive.
 */
export function startThread(url: string, options: WorkerOptions): Worker {
  checkModule(url);
  try {
    return new Worker(new URL(url), { execArgv: permissionFlags(), argv: [], ...options });
  } catch (error) {
    throw threadRefusal(url, error);
  }
}

/** An error in the form sent to another thread, in which it would lose its class and code. */
export interface PlainError {
  code: string | undefined;
  hint: string | undefined;
  message: string;
}

export function plainError(error: unknown): PlainError {
  const { code, hint } = error as Partial<PlainError>;
  return { code, hint, message: reasonOf(error) };
}

export function reviveError(plain: PlainError): Error {
  const error =
    plain.hint === undefined ? new Error(plain.message) : Object.create(TrackUsageError.prototype);
  return Object.assign(error, plain);
}
