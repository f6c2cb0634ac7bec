import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { storageCases } from '../../src/testing/index.ts';
import { PENDING } from '../support/pending.ts';

const cases = storageCases({
  name: 'sqlite',
  interfaces: ['library', 'http', 'cli'],
  cannot: PENDING,
  async createLocation() {
    const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
    return {
      url: `sqlite:${join(directory, 'usage.db')}`,
      storage: (hooks) => new SqliteStorage(join(directory, 'usage.db'), hooks ? { hooks } : {}),
      remove: () => rm(directory, { recursive: true, force: true }),
    };
  },
});
test.each(cases)('$name', ({ run }) => run());
