/** Process that stores a dead process's journal, and then the same batches again. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Storage } from '../../src/query/storage.ts';
import type { Batch, StorageModule, StorageWriter, WriterContext } from '../../src/storage/contract.ts';
import { handleCalls } from '../support/child.ts';
import { ALL_HOOKS, library, onError } from '../support/library.ts';
import { engineOf } from '../support/storages.ts';

interface Job {
  directory: string;
  /** Journal written by a process that died. */
  journal: string;
  engine: string;
  url: string;
  /** Summaries to keep. Defaults to the seven of Flask-Track-Usage. */
  hooks?: readonly string[];
}

/** CPU time in µs. */
export interface Adopted {
  seconds: number;
  /** CPU time of this process, without the server. */
  cpu: number;
  /** Maximum resident set size of the process. In bytes. */
  peakRss: number;
  records: number;
}

export interface Applied {
  /** Time spent in `apply`. */
  seconds: number;
  records: number;
  batches: number;
}

handleCalls({
  /** Runs the complete pipeline: decoding, user agents, geolocation, folding, storing. */
  async adopt({ directory, journal, engine, url, hooks }: Job): Promise<Adopted> {
    const { TrackUsage, sumServer } = await library();
    const storage = await open(engine, url, hooks);
    const started = performance.now();
    const before = process.cpuUsage();
    const usage = new TrackUsage(undefined, storage, settings(directory));
    await untilStored(journal);
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

  /** Measures only the storage, with batches prepared in advance. */
  async apply({ directory, journal, engine, url }: Job): Promise<Applied> {
    const storage = await open(engine, url);
    const batches = await collect(storage, directory, journal);
    const context: WriterContext = { site: 'default', timeZone: 'UTC', durable: false };
    const writer = storage.openWriter
      ? await storage.openWriter(context)
      : await ((await import(storage.module!)) as StorageModule).openWriter(storage.threadOptions(), context);
    const started = performance.now();
    for (const batch of batches) if (!(await writer.apply(batch))) throw new Error('a batch was refused');
    const seconds = (performance.now() - started) / 1000;
    await writer.close();
    const records = batches.reduce((sum, batch) => sum + batch.records.length, 0);
    return { seconds, records, batches: batches.length };
  },
});

async function open(engine: string, url: string, hooks: readonly string[] = ALL_HOOKS): Promise<Storage> {
  return engineOf(engine).storage(url, hooks);
}

function settings(directory: string) {
  return { journal: { dir: join(directory, 'journal'), maxBytes: 64 * 1024 ** 3 }, onError };
}

/** Waits until the journal is deleted, which happens when all of it is stored. */
async function untilStored(journal: string): Promise<void> {
  while (existsSync(journal)) await sleep(5);
}

/** Returns the batches that a storage would receive. */
async function collect(storage: Storage, directory: string, journal: string): Promise<Batch[]> {
  const { TrackUsage, Storage: Base } = await library();
  const batches: Batch[] = [];
  const collector: StorageWriter = {
    position: async () => batches.at(-1)?.to,
    async apply(batch) {
      batches.push(batch);
      return true;
    },
    forget: async () => {},
    refuses: () => false,
    close: async () => {},
  };
  const usage = new TrackUsage(
    undefined,
    new Base({
      label: storage.label,
      identity: storage.identity,
      hooks: ALL_HOOKS as never,
      openWriter: async () => collector,
      openReader: async () => storage.reader,
      ...(storage.maxRecords !== undefined && { maxRecords: storage.maxRecords }),
    }),
    settings(directory),
  );
  await untilStored(journal);
  await usage.close();
  return batches;
}
