import { FLAG_AUTHORIZATION, type RecordBatch } from '../../batch.ts';
import { BoundedCache } from '../../cache.ts';

/** What many records have in common, as ids of texts; `credentials` is 0 or 1. */
export interface Endpoint {
  serverName: number;
  method: number;
  protocol: number;
  route: number;
  blueprint: number;
  credentials: number;
}

export const ENDPOINT_COLUMNS = [
  'serverName',
  'method',
  'protocol',
  'route',
  'blueprint',
  'credentials',
] as const satisfies readonly (keyof Endpoint)[];

const CACHED = 4_096;
const TRIES = 5;

/** Finds the ids of endpoints and adds those that are not there, as `LookUp` does with texts. */
export type EndpointLookUp = (wanted: readonly Endpoint[]) => Promise<(Endpoint & { id: number })[]>;

/** The endpoints of a site, as far as their ids are remembered. */
export class Endpoints {
  readonly #lookUp: EndpointLookUp;
  readonly #ids = new BoundedCache<string, number>(CACHED);

  constructor(lookUp: EndpointLookUp) {
    this.#lookUp = lookUp;
  }

  /** The id of each record's endpoint. `ids`: those of the batch's texts. */
  async idsOf(records: RecordBatch, ids: Float64Array): Promise<Int32Array> {
    const { length } = records;
    const keys = new Array<string>(length);
    const found = new Map<string, number>();
    const missing = new Map<string, Endpoint>();
    const keyOf = localKeys(records);
    for (let i = 0; i < length; i++) {
      const key = keyOf(i);
      keys[i] = key;
      if (found.has(key) || missing.has(key)) continue;
      const endpoint = endpointOf(records, i, ids);
      const id = this.#ids.get(name(endpoint));
      if (id === undefined) missing.set(key, endpoint);
      else found.set(key, id);
    }
    for (let tries = 0; missing.size > 0; tries++) {
      if (tries === TRIES) throw new Error(`${missing.size} endpoints were neither found nor added`);
      const wanted = [...missing.values()].sort((a, b) => (name(a) < name(b) ? -1 : 1));
      for (const endpoint of await this.#lookUp(wanted)) this.#ids.set(name(endpoint), Number(endpoint.id));
      for (const [key, endpoint] of missing) {
        const id = this.#ids.get(name(endpoint));
        if (id === undefined) continue;
        found.set(key, id);
        missing.delete(key);
      }
    }
    return Int32Array.from(keys, (key) => found.get(key)!);
  }

  /** After a failure. */
  forget(): void {
    this.#ids.clear();
  }
}

/** The key of each record's endpoint within its batch; neighbours are mostly of few kinds. */
function localKeys({ text, flags }: RecordBatch): (index: number) => string {
  return (i) =>
    `${text.serverName[i]} ${text.method[i]} ${text.protocol[i]} ${text.route[i]} ${text.blueprint[i]} ${flags[i]! & FLAG_AUTHORIZATION}`;
}

function endpointOf({ text, flags }: RecordBatch, index: number, ids: Float64Array): Endpoint {
  return {
    serverName: ids[text.serverName[index]!]!,
    method: ids[text.method[index]!]!,
    protocol: ids[text.protocol[index]!]!,
    route: ids[text.route[index]!]!,
    blueprint: ids[text.blueprint[index]!]!,
    credentials: flags[index]! & FLAG_AUTHORIZATION,
  };
}

/** Drivers give large numbers as text. */
function name(endpoint: Endpoint): string {
  return ENDPOINT_COLUMNS.map((column) => Number(endpoint[column])).join(' ');
}
