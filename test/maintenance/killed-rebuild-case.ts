import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rebuild } from '../../src/maintenance/rebuild.ts';
import { verify } from '../../src/maintenance/verify.ts';
import type { Storage } from '../../src/query/storage.ts';
import type { Summary } from '../../src/summaries/define.ts';
import { PERIODS } from '../../src/summaries/periods.ts';
import { sumUrls } from '../../src/summaries/standard.ts';
import { NOON } from '../../src/testing/batches.ts';
import { change, storageWith, sumsOf } from './support.ts';

/** Few, because each bucket is read many times. */
const HOOKS = [sumUrls];
const PROGRAM = join(import.meta.dirname, 'killed-rebuild-by-url.ts');

/** Registers the test that a killed rebuild is completed, with a server. */
export function killedRebuildCase(
  /** Returns the URL of a new database, and a storage there. */
  open: (hooks: readonly Summary[]) => Promise<{ url: string; storage: Storage }>,
  /** Numbers of writes to the server after which a rebuild is killed. Defaults to 2 and 4. */
  [first, second]: readonly [first: number, second: number] = [2, 4],
): void {
  test('a rebuild that is killed twice while an app writes is completed by the next one', async () => {
    const { url, storage } = await open(HOOKS);
    const records = Array.from({ length: 12 }, (_, n) => ({ url: `/${n % 4}`, date: NOON }));
    const { writer, apply } = await storageWith(HOOKS, records, { storage });
    const wrong = { hits: 2, transfer: 1, errors: 1, duration: 3 };
    for (const period of PERIODS) await change(writer, 'urls', period, NOON, { '/0': wrong, '/x': wrong });
    expect((await verify({ storage })).count).toBe(2 * PERIODS.length);

    const added: typeof records = [];
    let writing = Promise.resolve();
    const store = () => {
      const record = { url: `/${added.length % 6}`, date: NOON };
      added.push(record);
      writing = writing.then(() => apply([record]));
    };
    // The first batch stores the number of the run, and each further one changes a bucket.
    for (const [batch, writes] of [
      [2, first],
      [3, second],
    ] as const) {
      const child = fork(PROGRAM, [url, batch, writes].map(String));
      child.on('message', store);
      const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
      await writing;
      expect(signal).toBe('SIGKILL');
      expect((await verify({ storage })).count).toBeGreaterThan(0);
    }
    await rebuild({ storage, onProgress: store });
    await writing;
    expect(added.length).toBeGreaterThan(2);
    expect((await verify({ storage })).count).toBe(0);
    const { storage: straight } = await storageWith(HOOKS, [...records, ...added]);
    expect(await sumsOf(storage, HOOKS)).toEqual(await sumsOf(straight, HOOKS));
  });
}
