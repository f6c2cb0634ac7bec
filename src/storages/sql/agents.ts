import { FLAG_BOT, type RecordBatch } from '../../batch.ts';
import { BoundedCache } from '../../cache.ts';

/** What the user agent whose text has that id says. */
export interface Agent {
  id: number;
  browser: string | null;
  version: string | null;
  platform: string | null;
  bot: boolean;
}

const CACHED = 4_096;

/** Which user agents stand in the database already, as far as it is remembered. */
export class Agents {
  readonly #known = new BoundedCache<number, true>(CACHED);

  /** Those of a batch that may have to be added, in the order of their ids. */
  unknown(records: RecordBatch, ids: Float64Array): Agent[] {
    const { text, length, flags } = records;
    const found = new Map<number, Agent>();
    for (let i = 0; i < length; i++) {
      const id = ids[text.agent[i]!]!;
      if (id === 0 || found.has(id) || this.#known.get(id)) continue;
      found.set(id, {
        id,
        browser: records.at('browser', i),
        version: records.at('version', i),
        platform: records.at('platform', i),
        bot: (flags[i]! & FLAG_BOT) !== 0,
      });
    }
    return [...found.values()].sort((a, b) => a.id - b.id);
  }

  /** They have been added. */
  add(agents: readonly Agent[]): void {
    for (const { id } of agents) this.#known.set(id, true);
  }

  /** After a failure. */
  forget(): void {
    this.#known.clear();
  }
}
