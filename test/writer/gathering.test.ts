import { expect, test } from 'vitest';
import { memoryStorageWith, tracked } from '../sinks/support.ts';

test('records that come while a batch is stored gather for the next one', async () => {
  const sizes: number[] = [];
  let meanwhile = async (): Promise<unknown> => undefined;
  const storage = memoryStorageWith({
    label: 'counting',
    async before(batch) {
      sizes.push(batch.records.length);
      if (sizes.length === 1) await meanwhile();
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
