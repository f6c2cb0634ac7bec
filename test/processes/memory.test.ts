import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { UsageStatus } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { temporaryDirectory } from '../journal/support.ts';

function start(cwd: string, ...args: string[]): ChildProcess {
  const app = fork(join(import.meta.dirname, 'memory-app.ts'), args, { cwd });
  onTestFinished(() => void app.kill('SIGKILL'));
  return app;
}

async function messageOf<T>(app: ChildProcess): Promise<T> {
  const [message] = await once(app, 'message');
  return message as T;
}

async function request<T>(app: ChildProcess, command: string): Promise<T> {
  const message = messageOf<T>(app);
  app.send(command);
  return message;
}

test.each(['close', 'exit', 'SIGKILL'] as const)(
  'an app with all its storages in memory leaves no file: %s',
  async (end) => {
    const cwd = temporaryDirectory();
    for (let starts = 0; starts < 2; starts++) {
      const app = start(cwd);
      // Not those of the previous process, even if it had the same process ID.
      expect(await messageOf(app)).toEqual({ hits: 3, state: 'none' });
      expect(readdirSync(cwd)).toEqual([]);
      const ended = once(app, 'exit');
      if (end === 'SIGKILL') app.kill(end);
      else app.send(end);
      await ended;
      expect(readdirSync(cwd)).toEqual([]);
    }
  },
);

test('with an additional database, records of a killed process are stored only in the database', async () => {
  const cwd = temporaryDirectory();
  const file = join(cwd, 'usage.db');
  const first = start(cwd, file);
  expect(await messageOf(first)).toMatchObject({ state: 'file' });
  first.kill('SIGKILL');
  await once(first, 'exit');
  const second = start(cwd, file);
  await messageOf(second);
  const stored = async () => {
    const [sum] = await new SqliteStorage(file, { hooks: ['server'] }).getSum('server', { period: 'day' });
    return sum?.hits ?? 0;
  };
  await vi.waitFor(async () => expect(await stored()).toBe(6), { timeout: 20_000, interval: 200 });
  // Nothing of the other process is in the memory of this one, nor waits for it.
  expect(await request(second, 'flush')).toEqual({ hits: 3 });
  const { storages } = await request<UsageStatus>(second, 'status');
  expect(storages.map(({ committed, ok }) => ({ committed, ok }))).toEqual([
    { committed: 3, ok: true },
    { committed: 3, ok: true },
  ]);
  expect(storages[0]!.adopted).toBe(0);
  const [identity = ''] = readdirSync(join(cwd, '.track-usage'));
  await vi.waitFor(() => expect(readdirSync(join(cwd, '.track-usage', identity))).toHaveLength(1), {
    timeout: 10_000,
  });
  const ended = once(second, 'exit');
  second.send('close');
  await ended;
  expect(readdirSync(join(cwd, '.track-usage', identity))).toEqual([]);
});
