import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Storage } from '../../src/query/storage.ts';
import type { Manner } from '../metrics/steered-storage.ts';

/** SQLite in a directory, with a manner of its own. */
export function stalledStorage(directory: string, manner: Manner): Storage {
  const file = join(directory, 'manner');
  writeFileSync(file, manner);
  return new Storage({
    label: 'steered',
    identity: directory,
    module: new URL('../metrics/steered-storage.ts', import.meta.url).href,
    options: { path: join(directory, 'usage.db'), manner: file },
    hooks: ['server'],
  });
}
