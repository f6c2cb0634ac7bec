import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Storage } from '../../src/query/storage.ts';
import type { Behavior } from '../metrics/controlled-storage.ts';

/** SQLite in a directory, with the given behavior. */
export function stalledStorage(directory: string, behavior: Behavior): Storage {
  const file = join(directory, 'behavior');
  writeFileSync(file, behavior);
  return new Storage({
    label: 'controlled',
    identity: directory,
    module: new URL('../metrics/controlled-storage.ts', import.meta.url).href,
    options: { path: join(directory, 'usage.db'), behavior: file },
    hooks: ['server'],
  });
}
