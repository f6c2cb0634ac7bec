import { FLAG_BOT, type RecordBatch } from '../../batch.ts';
import { BoundedCache } from '../../platform/cache.ts';
import { hashOf } from './texts.ts';

/**
 * A parsed user agent, as it was when its record was stored. A newer parser may read the same text
 * differently, which adds another row.
 */
export interface Agent {
  /** ID of the user agent's text. */
  string: number;
  browser: string | null;
  version: string | null;
  platform: string | null;
  bot: boolean;
  /** First 16 bytes of the SHA-256 of the parsed result. Distinguishes rows that share a text. */
  digest: Buffer;
}

/** Finds the IDs of agents and adds the missing ones, as `LookUp` does for texts. */
export type AgentLookUp = (
  wanted: readonly Agent[],
) => Promise<{ string: number; digest: string; id: number }[]>;

const CACHED = 4_096;
const MAX_ATTEMPTS = 5;

/** Cache of the agent IDs of a database. */
export class Agents {
  readonly #lookUp: AgentLookUp;
  readonly #ids = new BoundedCache<string, number>(CACHED);

  constructor(lookUp: AgentLookUp) {
    this.#lookUp = lookUp;
  }

  /** Returns the ID of each record's agent, 0 for none. `ids` are the IDs of the batch's texts. */
  async idsOf(records: RecordBatch, ids: Float64Array): Promise<Float64Array> {
    const { kinds, kindOf } = agentKinds(records);
    const agents = kinds.map((index) => agentOf(records, index, ids));
    const found = agents.map((agent) => this.#ids.get(nameOf(agent)));
    for (let attempts = 0; found.includes(undefined); attempts++) {
      if (attempts === MAX_ATTEMPTS) throw new Error('user agents were neither found nor added');
      const missing = agents.filter((_, kind) => found[kind] === undefined);
      // Writers that insert in the same order cannot deadlock.
      const wanted = missing.sort((a, b) => a.string - b.string || Buffer.compare(a.digest, b.digest));
      for (const { string, digest, id } of await this.#lookUp(wanted))
        this.#ids.set(`${string} ${digest}`, id);
      for (const [kind, agent] of agents.entries()) found[kind] ??= this.#ids.get(nameOf(agent));
    }
    return Float64Array.from(kindOf, (kind) => (kind < 0 ? 0 : found[kind]!));
  }

  /** Clears the cache, after a failure. */
  forget(): void {
    this.#ids.clear();
  }
}

/**
 * Groups records by agent and parsing result. Returns one record of each kind, and the kind of each record:
 * -1 without an agent.
 */
export function agentKinds({ length, text, flags }: RecordBatch): { kinds: number[]; kindOf: Int32Array } {
  const { agent, browser, version, platform } = text;
  const kinds: number[] = [];
  const kindOf = new Int32Array(length).fill(-1);
  /** Kinds by text. Most texts have exactly one. */
  const known = new Map<number, number[]>();
  for (let i = 0; i < length; i++) {
    if (agent[i] === 0) continue;
    const same = known.get(agent[i]!) ?? [];
    if (same.length === 0) known.set(agent[i]!, same);
    let kind = same.find((each) => {
      const other = kinds[each]!;
      return (
        browser[other] === browser[i] &&
        version[other] === version[i] &&
        platform[other] === platform[i] &&
        (flags[other]! & FLAG_BOT) === (flags[i]! & FLAG_BOT)
      );
    });
    if (kind === undefined) {
      kind = kinds.push(i) - 1;
      same.push(kind);
    }
    kindOf[i] = kind;
  }
  return { kinds, kindOf };
}

function agentOf(records: RecordBatch, index: number, ids: Float64Array): Agent {
  const fields = {
    browser: records.at('browser', index),
    version: records.at('version', index),
    platform: records.at('platform', index),
    bot: (records.flags[index]! & FLAG_BOT) !== 0,
  };
  const digest = hashOf(JSON.stringify(Object.values(fields)));
  return { string: ids[records.text.agent[index]!]!, ...fields, digest };
}

function nameOf({ string, digest }: Agent): string {
  return `${string} ${digest.toString('hex')}`;
}
