/** The process that carries a dead process's journal into a storage. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer } from './support/child.ts';
import { ALL_HOOKS, library, onError } from './support/library.ts';
import { ENGINES } from './support/storages.ts';

/** CPU time in µs. */
export interface Stored {
  seconds: number;
  /** Of this process, not of the server. */
  cpu: number;
  /** The largest resident size of the process. In bytes. */
  peakRss: number;
  records: number;
  /** What the storage takes on disk. */
  bytes: number;
}

answer({
  async adopt({
    directory,
    journal,
    engine,
    url,
  }: {
    directory: string;
    journal: string;
    engine: string;
    url: string;
  }): Promise<Omit<Stored, 'bytes'>> {
    const { TrackUsage, sumServer } = await library();
    const storage = await ENGINES.find(({ name }) => name === engine)!.storage(url, ALL_HOOKS);
    const started = performance.now();
    const before = process.cpuUsage();
    const usage = new TrackUsage(undefined, storage, {
      journal: { dir: join(directory, 'journal'), maxBytes: 64 * 1024 ** 3 },
      onError,
    });
    // A journal is deleted when all of it is stored.
    while (existsSync(journal)) await sleep(5);
    const { user, system } = process.cpuUsage(before);
    const seconds = (performance.now() - started) / 1000;
    const months = await usage.getSum(sumServer, { period: 'month', limit: 0 });
    await usage.close();
    return {
      seconds,
      cpu: user + system,
      peakRss: process.resourceUsage().maxRSS * 1024,
      records: months.reduce((sum, row) => sum + row.hits, 0),
    };
  },
});
