import { accessSync, constants } from 'node:fs';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { reasonOf, TrackUsageError } from '../errors.ts';

/**
 * The address of a module of this package, to load or to start as a thread. It ends as the asking module does:
 * `.js` in the package, `.ts` when the sources run as they are. In a bundle there is nothing at that address, or
 * no address at all: whoever uses it has it checked, by `checkModule` or `startThread`.
 * @param path From the asking module by way of the package's root, so that a bundle's neighbour is not taken for it.
 */
export function moduleUrl(path: string, base: string | undefined): string {
  if (base === undefined) return path;
  return new URL(`${path}${base.endsWith('.ts') ? '.ts' : '.js'}`, base).href;
}

/** Throws what is to be done where the module is not there, or may not be read. */
export function checkModule(url: string): void {
  try {
    if (!URL.canParse(url)) throw new Error('the bundle does not know its own address');
    const address = new URL(url);
    if (address.protocol === 'file:') accessSync(address, constants.R_OK);
  } catch (error) {
    throw threadRefusal(url, error);
  }
}

/** Node's permission model refuses, or the file is not where this package has it. */
export function threadRefusal(value: string, cause: unknown): TrackUsageError {
  const code =
    (cause as { code?: string }).code === 'ERR_ACCESS_DENIED' ? 'PERMISSION_MISSING' : 'WRITER_FILE';
  return new TrackUsageError(code, { value, reason: reasonOf(cause) }, { cause });
}

/**
 * The flags of Node's permission model on the command line: a thread without them would be free of it. Those in
 * NODE_OPTIONS are inherited. `--allow-worker` is left out, for our threads start none. What Node warns of such
 * flags, the process has said already.
 */
function permissionFlags({ execArgv } = process): string[] {
  const flags = execArgv.filter((arg, index) => {
    const isValue = /^--allow-fs-(read|write)$/.test(execArgv[index - 1] ?? '');
    return isValue || (/^--(experimental-)?permission|^--allow-/.test(arg) && arg !== '--allow-worker');
  });
  return flags.length === 0 ? [] : ['--no-warnings', ...flags];
}

/**
 * Starts a module as a thread that inherits of the process's command line only what it may do. Whoever starts it
 * must `unref` it when its listeners are in place (adding one takes that back), so that it does not keep the process
 * alive.
 */
export function startThread(url: string, options: WorkerOptions): Worker {
  checkModule(url);
  try {
    return new Worker(new URL(url), { execArgv: permissionFlags(), argv: [], ...options });
  } catch (error) {
    throw threadRefusal(url, error);
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
