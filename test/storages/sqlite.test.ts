import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { storageCases } from '../../src/testing/index.ts';

const cases = storageCases({
  name: 'sqlite',
  interfaces: ['library', 'http', 'cli'],
  async createLocation() {
    const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
    return {
      url: `sqlite:${join(directory, 'usage.db')}`,
      storage: (hooks) => new SqliteStorage(join(directory, 'usage.db'), hooks ? { hooks } : {}),
      async contains(text) {
        const files = await readdir(directory);
        const contents = await Promise.all(files.map((name) => readFile(join(directory, name))));
        return contents.some((content) => content.includes(text));
      },
      remove: () => rm(directory, { recursive: true, force: true }),
    };
  },
});
test.each(cases)('$name', ({ run }) => run());
