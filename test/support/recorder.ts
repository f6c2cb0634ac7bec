import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, vi } from 'vitest';
import { TrackUsage, type TrackUsageOptions, type UsageRecord } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

/**
 * Keeps the writer's thread from ending between the tests of a file: most of the time of a short test would go into
 * starting it again.
 */
let threadKeeper: Recorder | undefined;
afterAll(() => threadKeeper?.close());

/** A TrackUsage with a database and a journal in a new directory, and the records that it stored. */
export class Recorder {
  readonly usage: TrackUsage;
  /** Problems passed to `onError`. */
  readonly errors: Error[] = [];
  readonly directory: string;
  #taken = 0;

  private constructor(directory: string, { journal, ...options }: TrackUsageOptions) {
    this.directory = directory;
    this.usage = new TrackUsage(null, [new SqliteStorage(join(directory, 'usage.db'))], {
      geo: false,
      onError: (error) => this.errors.push(error),
      ...options,
      journal: { dir: directory, ...journal },
    });
  }

  static async create(options: TrackUsageOptions = {}): Promise<Recorder> {
    threadKeeper ??= new Recorder(await mkdtemp(join(tmpdir(), 'track-usage-')), {});
    return new Recorder(await mkdtemp(join(tmpdir(), 'track-usage-')), options);
  }

  /** Opens a recorder with the database and journals that another process left in `directory`. */
  static open(directory: string, options: TrackUsageOptions = {}): Recorder {
    return new Recorder(directory, options);
  }

  /** Returns all records, newest first, after `count` of them were adopted from dead processes. */
  async adopted(count: number): Promise<UsageRecord[]> {
    await vi.waitFor(
      () => {
        const { adopted } = this.usage.status().storages[0]!;
        if (adopted < count) throw new Error(`${adopted} records were adopted, expected ${count}`);
      },
      { interval: 5, timeout: 10_000 },
    );
    return this.usage.getUsage({ limit: 0 });
  }

  /** Resolves when `count` requests have been captured in addition to those taken. */
  async captured(count: number): Promise<void> {
    await vi.waitFor(
      () => {
        const { captured } = this.usage.status();
        if (captured < this.#taken + count) {
          throw new Error(`${captured - this.#taken} requests were captured, expected ${count}`);
        }
      },
      { interval: 2, timeout: 5_000 },
    );
  }

  /** Returns all records that were not taken yet, oldest first. Waits until there are at least `count`. */
  async take(count: number): Promise<UsageRecord[]> {
    await this.captured(count);
    await this.usage.flush();
    const all = await this.usage.getUsage({ limit: 0 });
    const records = all.slice(0, all.length - this.#taken).reverse();
    this.#taken = all.length;
    return records;
  }

  /** Returns the only record that was not taken yet. */
  async takeOne(): Promise<UsageRecord> {
    const [record, ...more] = await this.take(1);
    if (more.length > 0) throw new Error(`${more.length} records too many: ${JSON.stringify(more)}`);
    return record!;
  }

  async close(): Promise<void> {
    await this.usage.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}
