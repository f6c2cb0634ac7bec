import { RecordBatch } from '../../batch.ts';
import type { Position } from '../../journal/position.ts';
import type { Batch } from '../../storage/contract.ts';
import { MEASURES } from '../../storage/measures.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import type { Period } from '../../summaries/periods.ts';
import type { Server } from './client.ts';
import type { Keys } from './keys.ts';

/** A saved batch, as JSON. */
interface Saved {
  from: Position;
  to: Position;
  /** The measures are in the order of `MEASURES`. */
  groups: [summary: string, period: Period, bucket: number, keys: (string | null)[], measures: number[][]][];
}

/**
 * Saves the batches of a rebuild or a deletion of a person, because no journal contains them. If the process is killed
 * while it stores such a batch, the next one completes it. Otherwise, the sums of one key would be gone, and those of the
 * other missing.
 */
export class Corrections {
  readonly #server: Server;
  readonly #key: string;

  constructor(server: Server, keys: Keys, site: string) {
    this.#server = server;
    this.#key = keys.corrections(site);
  }

  /** Saves a batch before it is begun. Returns false if it need not be saved. */
  async save({ journal, from, to, records, deltas }: Batch): Promise<boolean> {
    if (records.length > 0 || deltas.length === 0) return false;
    const groups = deltas.map((group): Saved['groups'][number] => [
      group.summary.name,
      group.period,
      group.bucket,
      Array.from(group.key, (local) => records.strings[local]!),
      MEASURES.map((measure) => [...group[measure]]),
    ]);
    await this.#send('HSET', journal, JSON.stringify({ from, to, groups } satisfies Saved));
    return true;
  }

  /** Returns the saved batch of a journal, with its rows in the same order, because the scripts count them. */
  async find(journal: string): Promise<Batch | undefined> {
    const found = await this.#send('HGET', journal);
    if (found === null) return undefined;
    const { from, to, groups } = JSON.parse(String(found)) as Saved;
    const records = new RecordBatch(1);
    const deltas = groups.map(([name, period, bucket, keys, measures]): DeltaGroup => {
      const columns = MEASURES.map((measure, n) => [measure, Float64Array.from(measures[n]!)]);
      return {
        summary: { name, title: name },
        period,
        bucket,
        key: Int32Array.from(keys, (key) => records.internStored(key)),
        ...(Object.fromEntries(columns) as Record<(typeof MEASURES)[number], Float64Array<ArrayBuffer>>),
      };
    });
    return { journal, from, to, records, deltas };
  }

  /** Deletes the saved batch of a journal. */
  async remove(journal: string): Promise<void> {
    await this.#send('HDEL', journal);
  }

  #send(command: string, ...args: string[]): Promise<unknown> {
    return this.#server.send(this.#key, [command, this.#key, ...args]);
  }
}
