import { reasonOf, TrackUsageError } from '../errors.ts';
import type { KeyFunction, Summary } from './define.ts';

/** Loads the function of a summary that is defined by a module. Rejects if the module does not export it. */
export async function loadKey({
  name,
  module,
  export: exported = 'default',
}: Pick<Summary, 'name' | 'module' | 'export'>): Promise<{ name: string; key: KeyFunction }> {
  const fail = (reason: string, cause: unknown) =>
    new TrackUsageError('SUMMARY_MODULE', { name, module, reason }, { cause });
  let key: unknown;
  try {
    const loaded = (await import(module!)) as Record<string, unknown>;
    key = loaded[exported];
    // A CommonJS module whose exports Node could not detect.
    if (key === undefined) key = (loaded.default as Record<string, unknown> | undefined)?.[exported];
  } catch (error) {
    throw fail(reasonOf(error), error);
  }
  if (typeof key !== 'function') {
    const cause = new Error(`it exports no function "${exported}"`);
    throw fail(cause.message, cause);
  }
  return { name, key: key as KeyFunction };
}
