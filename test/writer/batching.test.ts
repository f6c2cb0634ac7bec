import { expect, test } from 'vitest';
import { memoryStorageWith, startServer } from '../sinks/support.ts';

test('puts records that arrive while a batch is stored into the next batch', async () => {
  const sizes: number[] = [];
  let whileStoring = async (): Promise<unknown> => undefined;
  const storage = memoryStorageWith({
    label: 'counting',
    async before(batch) {
      sizes.push(batch.records.length);
      if (sizes.length === 1) await whileStoring();
    },
  });
  await using app = await startServer(() => [storage]);
  // A record is waiting when the first batch is stored, as always under load.
  whileStoring = () => app.request('/meanwhile');
  await app.usage.ready();
  let requests = 0;
  for (; app.usage.status().storages[0]!.committed === 0; requests++) await app.request('/before');
  await Promise.all(Array.from({ length: 50 }, () => app.request('/after')));
  await app.usage.flush();
  expect(sizes[0]! + sizes[1]!).toBeGreaterThan(requests + 25);
});
