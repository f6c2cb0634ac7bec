/** The SQLite storage, steered by what stands in a file. */
import { readFileSync } from 'node:fs';
import type { StorageModule } from '../../src/storage/contract.ts';
import { openWriter as open } from '../../src/storages/sqlite/module.ts';

export { openReader } from '../../src/storages/sqlite/module.ts';

/**
 * - `refuses`: nothing is stored.
 * - `forgets`: a batch is stored, and said to have failed.
 * - `blocks`: the thread does nothing else for 4 s.
 * - `dies`: the thread ends before a batch is stored, and none of its followers can open the database.
 */
export type Manner = 'well' | 'refuses' | 'forgets' | 'blocks' | 'dies';

export const openWriter: StorageModule['openWriter'] = async (options, context) => {
  const { manner: file } = options as { manner: string };
  const manner = () => readFileSync(file, 'utf8') as Manner;
  if (manner() === 'dies') throw new Error('I do not open');
  const writer = await open(options, context);
  const { apply } = writer;
  writer.apply = async (batch) => {
    const is = manner();
    if (is === 'refuses') throw new Error('I take nothing');
    if (is === 'dies') process.exit(1);
    if (is === 'blocks') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4_000);
    const applied = await apply.call(writer, batch);
    if (is === 'forgets') throw new Error('What was it?');
    return applied;
  };
  return writer;
};
