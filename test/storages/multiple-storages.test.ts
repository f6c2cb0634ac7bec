import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { memoryStorageWith, startServer } from '../sinks/support.ts';

/** Returns a storage that can be made unavailable. */
function unreliable(hooks: Parameters<typeof memoryStorageWith>[0]['hooks']) {
  const state = { isDown: false, tries: 0 };
  const before = () => {
    state.tries += 1;
    if (state.isDown) throw new Error('unavailable');
  };
  return { state, storage: memoryStorageWith({ label: 'unreliable', hooks, before }) };
}

test('an unavailable storage does not delay the others, and catches up when it is back', async () => {
  const hooked = { reliable: 0, unreliable: 0 };
  const countReliable = () => {
    hooked.reliable += 1;
  };
  const countUnreliable = () => {
    hooked.unreliable += 1;
  };
  const { storage, state } = unreliable(['urls', countUnreliable]);
  await using app = await startServer((directory) => [
    storage,
    new SqliteStorage(join(directory, 'usage.db'), {
      hooks: ['status', countReliable],
    }),
  ]);
  await app.request('/before');
  await app.usage.flush();
  state.isDown = true;
  for (let n = 0; n < 30; n++) await app.request(`/${n % 3}`);
  // The available storage has all records, and its summaries can be queried.
  await vi.waitFor(() => expect(app.usage.status().storages[1]).toMatchObject({ ok: true, committed: 31 }), {
    timeout: 10_000,
  });
  await vi.waitFor(() => expect(hooked).toEqual({ reliable: 31, unreliable: 1 }), { timeout: 10_000 });
  const [ok] = await app.usage.getSum('status', { period: 'day' });
  expect(ok).toMatchObject({ key: '200', hits: 31 });
  await vi.waitFor(() => expect(state.tries).toBeGreaterThan(3), { timeout: 10_000 });
  expect(app.usage.status().storages[0]).toMatchObject({
    ok: false,
    committed: 1,
    lag: { records: 30 },
    error: { message: expect.stringContaining('unavailable') },
  });
  await expect(app.usage.flush({ timeout: 100 })).rejects.toMatchObject({ code: 'TIMEOUT' });
  state.isDown = false;
  await vi.waitFor(() => expect(app.usage.status().storages[0]).toMatchObject({ ok: true, committed: 31 }), {
    timeout: 10_000,
  });
  await vi.waitFor(() => expect(hooked.unreliable).toBe(31), { timeout: 10_000 });
  const urls = await app.usage.getSum('urls', { period: 'month' });
  expect(urls.map(({ hits }) => hits)).toEqual([10, 10, 10, 1]);
});
