/** SQLite storage whose behavior is read from a file. */
import { readFileSync } from 'node:fs';
import type { StorageModule } from '../../src/storage/contract.ts';
import { openWriter as open } from '../../src/storages/sqlite/module.ts';

export { openReader } from '../../src/storages/sqlite/module.ts';

/**
 * - `rejects`: nothing is stored.
 * - `loses-response`: a batch is stored, but reported as failed.
 * - `blocks`: blocks the thread for 4 s.
 * - `exits`: the thread exits before a batch is stored, and later threads cannot open the database.
 */
export type Behavior = 'works' | 'rejects' | 'loses-response' | 'blocks' | 'exits';

export const openWriter: StorageModule['openWriter'] = async (options, context) => {
  const { behavior: file } = options as { behavior: string };
  const behavior = () => readFileSync(file, 'utf8') as Behavior;
  if (behavior() === 'exits') throw new Error('opening failed');
  const writer = await open(options, context);
  const { apply } = writer;
  writer.apply = async (batch) => {
    const current = behavior();
    if (current === 'rejects') throw new Error('storing failed');
    if (current === 'exits') process.exit(1);
    if (current === 'blocks') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4_000);
    const applied = await apply.call(writer, batch);
    if (current === 'loses-response') throw new Error('response lost');
    return applied;
  };
  return writer;
};
