// npm install track-usage, then: node --test json-lines.test.ts
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { storageCases } from 'track-usage/testing';
import { JsonLinesStorage } from './json-lines.ts';

const cases = storageCases({
  name: 'json-lines',
  interfaces: ['library', 'http'],
  cannot: {
    maintenance: 'lines are only appended',
    maxKeys: 'the writer keeps no sums, only positions',
    visitorKeys: 'the file is only appended, so an old key cannot be deleted',
  },
  async createLocation() {
    const directory = await mkdtemp(join(tmpdir(), 'json-lines-'));
    return {
      storage: (hooks) => new JsonLinesStorage(join(directory, 'usage.jsonl'), hooks ? { hooks } : {}),
      remove: () => rm(directory, { recursive: true, force: true }),
    };
  },
});
for (const { name, run } of cases) test(name, run);
