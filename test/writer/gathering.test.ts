import { expect, it } from 'vitest';
import { Storage } from '../../src/index.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { tracked } from '../writers/support.ts';

it('records that come while a batch is stored gather for the next one', async () => {
  const memory = new MemoryStorage();
  const sizes: number[] = [];
  let meanwhile = async (): Promise<unknown> => undefined;
  const storage = new Storage({
    label: 'counting',
    identity: 'counting',
    openReader: async () => memory.reader,
    async openWriter(context) {
      const writer = await memory.openWriter!(context);
      return {
        ...writer,
        async apply(batch) {
          sizes.push(batch.records.length);
          if (sizes.length === 1) await meanwhile();
          return writer.apply(batch);
        },
      };
    },
  });
  await using app = await tracked(() => [storage]);
  // So that there is more as soon as the first batch is stored, as always under load.
  meanwhile = () => app.ask('/meanwhile');
  await app.usage.ready();
  let asked = 0;
  for (; app.usage.status().storages[0]!.committed === 0; asked++) await app.ask('/before');
  await Promise.all(Array.from({ length: 50 }, () => app.ask('/after')));
  await app.usage.flush();
  expect(sizes[0]! + sizes[1]!).toBeGreaterThan(asked + 25);
});
