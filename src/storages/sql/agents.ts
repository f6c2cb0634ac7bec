import { FLAG_BOT, type RecordBatch } from '../../batch.ts';
import type { NamedRow, RowIds } from './row-ids.ts';
import { hashOf } from './texts.ts';

/**
 * A parsed user agent, as it was when its record was stored. A newer parser may read the same text
 * differently, which adds another row.
 */
export interface Agent extends NamedRow {
  /** ID of the user agent's text. */
  string: number;
  browser: string | null;
  version: string | null;
  platform: string | null;
  bot: boolean;
  device: string | null;
  /** First 16 bytes of the SHA-256 of the parsed result. Distinguishes rows that share a text. */
  digest: Buffer;
}

/** Returns the agent ID of each record, 0 for none. `ids` are the IDs of the batch's texts. */
export async function agentIdsOf(
  records: RecordBatch,
  ids: Float64Array,
  agents: RowIds<Agent>,
): Promise<Float64Array> {
  const { kinds, kindOf } = agentKinds(records);
  const found = await agents.idsOf(kinds.map((index) => agentOf(records, index, ids)));
  return Float64Array.from(kindOf, (kind) => (kind < 0 ? 0 : found[kind]!));
}

/**
 * Groups records by agent and parsing result. Returns one record of each kind, and the kind of each record:
 * -1 without an agent.
 */
export function agentKinds({ length, text, flags }: RecordBatch): { kinds: number[]; kindOf: Int32Array } {
  const { agent, browser, version, platform, device } = text;
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
        device[other] === device[i] &&
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
    device: records.at('device', index),
  };
  const digest = hashOf(JSON.stringify(Object.values(fields)));
  const string = ids[records.text.agent[index]!]!;
  return { name: agentName(string, digest.toString('hex')), string, ...fields, digest };
}

/** Returns the name of an agent. `digest` is in hexadecimal digits. */
export function agentName(string: number | string, digest: string): string {
  return `${string} ${digest}`;
}
