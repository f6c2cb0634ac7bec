import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { constants } from 'node:os';
import sqlite from 'node:sqlite';

/** Errors that do not show whether a file exists. */
export const ERRNOS = ['EMFILE', 'ENFILE', 'EIO', 'EACCES', 'EINTR', 'ENOSPC', 'EROFS', 'ENOMEM'] as const;
export type Errno = (typeof ERRNOS)[number];

/** Corresponding SQLite result codes: CANTOPEN, NOMEM, IOERR, READONLY, INTERRUPT, FULL. */
const SQLITE_CODES: Record<Errno, number> = {
  EMFILE: 14,
  ENFILE: 14,
  EIO: 10,
  EACCES: 8,
  EINTR: 9,
  ENOSPC: 13,
  EROFS: 8,
  ENOMEM: 7,
};

const FUNCTIONS = [
  'accessSync',
  'appendFileSync',
  'closeSync',
  'existsSync',
  'fdatasyncSync',
  'fstatSync',
  'ftruncateSync',
  'mkdirSync',
  'openSync',
  'readdirSync',
  'readFileSync',
  'readSync',
  'renameSync',
  'rmSync',
  'rmdirSync',
  'statfsSync',
  'statSync',
  'unlinkSync',
  'utimesSync',
  'writeFileSync',
  'writeSync',
] as const;

/** Callback functions that `src/` uses to run file operations off the calling thread. */
const LATER = ['open', 'write', 'fdatasync', 'close', 'mkdir', 'readdir', 'rename', 'unlink', 'rm'] as const;

/** Functions that may fail after their effect: the error is returned although the operation was done. */
const DOES_FIRST = /^(close|rename|unlink|rm|mkdir|write)(Sync)? |^(COMMIT|ROLLBACK)/;

/** A call: its function or statement, and the kind of file it accesses. */
export interface Call {
  name: string;
  /** Number of the call in the run, from 0. */
  number: number;
}

/** Error for a call, before or after its effect. */
export type Fault = { errno: Errno; after: boolean } | undefined;

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Injects errors into file system calls that access a directory: those of `node:fs` and the statements of
 * `node:sqlite`, in this thread and in all modules. Other files of the process and of the test runner are not
 * affected.
 */
export class FailingFiles {
  /** Calls made while active. */
  readonly calls: Call[] = [];
  /** Calls that were made to fail. */
  readonly failed: (Call & { errno: Errno; after: boolean })[] = [];
  readonly #directory: string;
  readonly #fault: (call: Call) => Fault;
  readonly #descriptors = new Map<number, string>();
  readonly #restore: (() => void)[] = [];
  #isActive = false;

  /**
   * Activates the errors.
   * @param later True if callback functions fail too. Their order may differ between runs.
   */
  constructor(directory: string, fault: (call: Call) => Fault, { later = false } = {}) {
    this.#directory = directory;
    this.#fault = fault;
    if (later) {
      for (const name of LATER) this.#replace(fs as never, name, (original) => this.#later(name, original));
    }
    for (const name of FUNCTIONS)
      this.#replace(fs as never, name, (original) => this.#wrapped(name, original));
    const { DatabaseSync, StatementSync } = sqlite;
    const self = this;
    this.#replace(
      DatabaseSync.prototype as never,
      'exec',
      (original) =>
        function (this: unknown, ...args) {
          const statement = String(args[0]).trim().split(/[\s;]/)[0]!;
          // `location` was added in Node 22.16.
          const path = (this as Partial<sqlite.DatabaseSync>).location?.() ?? 'database';
          return self.#call(`${statement} ${kindOf(path)}`, () => original.apply(this, args), true);
        },
    );
    for (const method of ['run', 'get', 'all']) {
      this.#replace(
        StatementSync.prototype as never,
        method,
        (original) =>
          function (this: unknown, ...args) {
            const name = statementName((this as sqlite.StatementSync).sourceSQL);
            return self.#call(name, () => original.apply(this, args), true);
          },
      );
    }
    this.#replace(
      sqlite as never,
      'DatabaseSync',
      (original) =>
        new Proxy(original, {
          construct: (target, args) => {
            const open = () => Reflect.construct(target, args) as object;
            const path = String(args[0]);
            if (!path.startsWith(directory)) return open();
            return self.#call(`new DatabaseSync ${kindOf(path)}`, open, true) as object;
          },
        }),
    );
    syncBuiltinESMExports();
    this.#isActive = true;
  }

  /** Runs without errors and without counting. */
  spared<T>(work: () => T): T {
    const before = this.#isActive;
    this.#isActive = false;
    try {
      return work();
    } finally {
      this.#isActive = before;
    }
  }

  /** Stops injecting errors. */
  stop(): void {
    this.#isActive = false;
    for (const restore of this.#restore.splice(0)) restore();
    syncBuiltinESMExports();
  }

  #replace(
    object: Record<string, AnyFunction>,
    name: string,
    by: (original: AnyFunction) => AnyFunction,
  ): void {
    const original = object[name]!;
    object[name] = by(original);
    this.#restore.push(() => {
      object[name] = original;
    });
  }

  #wrapped(name: (typeof FUNCTIONS)[number], original: AnyFunction): AnyFunction {
    const self = this;
    return function (this: unknown, ...args) {
      const [first] = args;
      const path = typeof first === 'number' ? self.#descriptors.get(first) : String(first);
      const call = () => original.apply(this, args);
      if (!path?.startsWith(self.#directory)) return call();
      if (name === 'closeSync') self.#descriptors.delete(first as number);
      // `existsSync` never throws: any error is `false`.
      const result = self.#call(`${name} ${kindOf(path)}`, call, false, name === 'existsSync');
      if (name === 'openSync') self.#descriptors.set(result as number, path);
      return result;
    };
  }

  #later(name: (typeof LATER)[number], original: AnyFunction): AnyFunction {
    const self = this;
    return function (this: unknown, ...args) {
      const [first] = args;
      const path = typeof first === 'number' ? self.#descriptors.get(first) : String(first);
      const done = args.pop() as (error: Error | null, ...results: unknown[]) => void;
      const call = (then: typeof done) => original.apply(this, [...args, then]);
      if (!path?.startsWith(self.#directory) || !self.#isActive) return call(done);
      if (name === 'close') self.#descriptors.delete(first as number);
      const made = { name: `${name} ${kindOf(path)}`, number: self.calls.length };
      self.calls.push(made);
      const fault = self.#fault(made);
      if (!fault) {
        return call((error, result, ...more) => {
          if (!error && name === 'open') self.#descriptors.set(result as number, path);
          done(error, result, ...more);
        });
      }
      const after = fault.after && DOES_FIRST.test(made.name);
      self.failed.push({ ...made, ...fault, after });
      const fail = () => done(errnoError(fault.errno, name));
      if (after || name === 'close') return call(fail);
      return void setImmediate(fail);
    };
  }

  #call(name: string, call: () => unknown, isSqlite: boolean, hidesErrors = false): unknown {
    if (!this.#isActive) return call();
    const made = { name, number: this.calls.length };
    this.calls.push(made);
    const fault = this.#fault(made);
    if (!fault) return call();
    const after = fault.after && DOES_FIRST.test(name);
    this.failed.push({ ...made, ...fault, after });
    if (after || name.startsWith('closeSync')) call();
    if (hidesErrors) return false;
    throw isSqlite ? sqliteError(fault.errno) : errnoError(fault.errno, name);
  }
}

/** Returns the kind of a file, so that equivalent calls are recognized. */
function kindOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (/^[0-9a-f]{32}$/.test(name)) return 'journal';
  if (/^[0-9a-f]{16}$/.test(name)) return 'journals';
  if (/^\d{16}-\d{13}\.log$/.test(name)) return 'segment';
  return name.replace(/^[0-9a-f]{16}\./, '').replace(/^adopted-[0-9a-f]{32}$/, 'adopted');
}

/** Returns the first word and the table of a statement. */
function statementName(sql: string): string {
  const [verb] = /\w+/.exec(sql)!;
  const [, table = ''] = /\b(?:FROM|INTO)\s+(\w+)/.exec(sql) ?? /PRAGMA (\w+)/.exec(sql) ?? [];
  return `statement ${verb} ${table}`;
}

function errnoError(code: Errno, name: string): Error {
  const syscall = name.split('Sync')[0]!;
  return Object.assign(new Error(`${code}: injected, ${syscall}`), {
    code,
    syscall,
    errno: -constants.errno[code],
  });
}

function sqliteError(errno: Errno): Error {
  return Object.assign(new Error(`injected for ${errno}`), {
    code: 'ERR_SQLITE_ERROR',
    errcode: SQLITE_CODES[errno],
  });
}
