import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type RecordWriter, Storage, sumUrls, type UsageRecord } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { eventually, startServer } from './support.ts';

test('calls a hook with each committed record, in order', async () => {
  const calls: [UsageRecord, RecordWriter][] = [];
  await using app = await startServer(
    (directory) =>
      new SqliteStorage(join(directory, 'usage.db'), {
        hooks: [sumUrls, (record, storage) => void calls.push([record, storage])],
      }),
  );
  for (let n = 0; n < 5; n++) await app.request(`/${n}?token=secret`, { 'user-agent': 'curl/8.5.0' });
  await app.usage.flush();
  await eventually(() => expect(calls).toHaveLength(5));
  const stored = await app.usage.getUsage();
  expect(calls.map(([record]) => record)).toEqual(stored.reverse());
  expect(calls[0]![0]).toMatchObject({
    path: '/0',
    userAgent: { browser: 'curl' },
    query: { token: 'REDACTED' },
  });
  expect(calls[0]![1]).toBe(app.usage.storages[0]);
  expect(calls[0]![1]).toBeInstanceOf(Storage);
  expect(await app.usage.getSum(sumUrls, { period: 'day' })).toHaveLength(5);
});

test('passes separate record objects to each hook of each storage', async () => {
  const seen: string[] = [];
  const modify = (record: UsageRecord) => {
    record.path = 'modified';
  };
  await using app = await startServer((directory) =>
    ['a', 'b'].map(
      (name) =>
        new SqliteStorage(join(directory, `${name}.db`), {
          hooks: [modify, ({ path }) => void seen.push(name + path)],
        }),
    ),
  );
  await app.request('/x');
  await app.usage.flush();
  await eventually(() => expect(seen.sort()).toEqual(['a/x', 'b/x']));
});

test('reports and counts exceptions and rejections of a hook, and calls the others', async () => {
  let succeeded = 0;
  await using app = await startServer(
    (directory) =>
      new SqliteStorage(join(directory, 'usage.db'), {
        hooks: [
          function thrower() {
            throw new Error('thrown');
          },
          async () => {
            throw new Error('rejected');
          },
          () => {
            succeeded += 1;
          },
        ],
      }),
  );
  for (let n = 0; n < 3; n++) expect(await app.request()).toBe('hello');
  await app.usage.flush();
  await eventually(() => expect(succeeded).toBe(3));
  const status = app.usage.status().storages[0]!;
  expect(status).toMatchObject({ ok: true, committed: 3, hooks: { failed: 6, dropped: 0 } });
  expect(app.errors[0]?.message).toContain('the hook thrower of sqlite:');
  expect(app.errors[0]?.message).toContain('failed: thrown');
});

test('does not let a hook that never settles delay requests, storing or close()', async () => {
  await using app = await startServer(
    (directory) =>
      new SqliteStorage(join(directory, 'usage.db'), { hooks: [() => new Promise<void>(() => {})] }),
  );
  for (let n = 0; n < 10; n++) await app.request();
  await app.usage.flush();
  await eventually(() => expect(app.usage.status().storages[0]!.hooks.pending).toBe(10));
  expect(app.usage.status().storages[0]).toMatchObject({ ok: true, committed: 10, lag: { records: 0 } });
  const before = performance.now();
  await app.usage.close({ timeout: 300 });
  expect(performance.now() - before).toBeLessThan(5_000);
});

test('limits the memory of pending calls of a hook that never settles', async () => {
  // Half of the limit of vars and route parameters.
  const vars = { text: 'x'.repeat(8_000) };
  await using app = await startServer(
    (directory) =>
      new SqliteStorage(join(directory, 'usage.db'), { hooks: [() => new Promise<void>(() => {})] }),
    { username: (request) => void Object.assign(app.usage.vars(request), vars) },
  );
  const limit = (32 * 1024 * 1024) / 8_000;
  for (let n = 0; n < limit + 1_000; n += 20)
    await Promise.all(Array.from({ length: 20 }, () => app.request()));
  await app.usage.flush();
  const { hooks, committed } = app.usage.status().storages[0]!;
  expect(hooks.pending).toBeLessThan(limit);
  expect(hooks.dropped).toBeGreaterThan(0);
  // On a busy machine the first calls may have timed out already.
  expect(hooks.pending + hooks.dropped + hooks.failed).toBe(committed);
  await app.usage.close({ timeout: 100 });
}, 60_000);

test('prints no warning if close() times out because of a hook that never settles', async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error) => warnings.push(warning);
  process.on('warning', warned);
  onTestFinished(() => void process.off('warning', warned));
  await using app = await startServer(
    (directory) =>
      new SqliteStorage(join(directory, 'usage.db'), { hooks: [() => new Promise<void>(() => {})] }),
  );
  await app.request();
  await app.usage.flush();
  await eventually(() => expect(app.usage.status().storages[0]!.hooks.pending).toBe(1));
  await app.usage.close({ timeout: 0.001 });
  // Node emits warnings in the next tick.
  await new Promise((resolve) => setImmediate(resolve));
  expect(warnings).toEqual([]);
});

test('handles requests between the calls of a slow hook', async () => {
  let called = 0;
  const busy = () => {
    const until = performance.now() + 4;
    while (performance.now() < until);
    called += 1;
  };
  await using app = await startServer(
    (directory) => new SqliteStorage(join(directory, 'usage.db'), { hooks: [busy] }),
  );
  await Promise.all(Array.from({ length: 60 }, () => app.request()));
  await app.usage.flush();
  // Requests are handled between the calls: no response waits for all of them.
  let answered = 0;
  while (called < 60) {
    await app.request();
    answered += 1;
  }
  expect(answered).toBeGreaterThan(5);
});

test('calls a slow hook for all records even if the app is idle', async () => {
  let called = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const busy = () => {
    const until = performance.now() + 6;
    while (performance.now() < until);
    called += 1;
    if (called === 40) resolve();
  };
  await using app = await startServer(
    (directory) => new SqliteStorage(join(directory, 'usage.db'), { hooks: [busy] }),
  );
  await Promise.all(Array.from({ length: 40 }, () => app.request()));
  const before = performance.now();
  await app.usage.flush();
  await promise;
  expect(performance.now() - before).toBeLessThan(5_000);
  expect(app.usage.status().storages[0]!.hooks).toMatchObject({ failed: 0, dropped: 0 });
});

test('close() waits for the calls of hooks for the last records', async () => {
  let called = 0;
  await using app = await startServer(
    (directory) =>
      new SqliteStorage(join(directory, 'usage.db'), {
        hooks: [
          async () => {
            await new Promise((resolve) => setImmediate(resolve));
            called += 1;
          },
        ],
      }),
  );
  for (let n = 0; n < 20; n++) await app.request();
  await app.usage.close();
  expect(called).toBe(20);
});
