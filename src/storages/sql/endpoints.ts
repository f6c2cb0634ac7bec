import { FLAG_AUTHORIZATION, type RecordBatch } from '../../batch.ts';
import { BoundedCache } from '../../platform/cache.ts';

/** Fields that many records share, as text IDs. `credentials` is 0 or 1. */
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
const MAX_ATTEMPTS = 5;

/** Finds the IDs of endpoints and adds the missing ones, as `LookUp` does for texts. */
export type EndpointLookUp = (wanted: readonly Endpoint[]) => Promise<(Endpoint & { id: number })[]>;

/** Cache of the endpoint IDs of a site. */
export class Endpoints {
  readonly #lookUp: EndpointLookUp;
  readonly #ids = new BoundedCache<string, number>(CACHED);

  constructor(lookUp: EndpointLookUp) {
    this.#lookUp = lookUp;
  }

  /** Returns the ID of each record's endpoint. `ids` are the IDs of the batch's texts. */
  async idsOf(records: RecordBatch, ids: Float64Array): Promise<Int32Array> {
    const { kinds, kindOf } = endpointKinds(records);
    const endpoints = kinds.map((index) => endpointOf(records, index, (local) => ids[local]!));
    const found = endpoints.map((endpoint) => this.#ids.get(name(endpoint)));
    for (let attempts = 0; found.includes(undefined); attempts++) {
      if (attempts === MAX_ATTEMPTS) throw new Error('endpoints were neither found nor added');
      const missing = endpoints.filter((_, kind) => found[kind] === undefined);
      const wanted = missing.sort((a, b) => (name(a) < name(b) ? -1 : 1));
      for (const endpoint of await this.#lookUp(wanted)) this.#ids.set(name(endpoint), endpoint.id);
      for (const [kind, endpoint] of endpoints.entries()) found[kind] ??= this.#ids.get(name(endpoint));
    }
    return kindOf.map((kind) => found[kind]!);
  }

  /** Clears the cache, after a failure. */
  forget(): void {
    this.#ids.clear();
  }
}

/** Groups records by endpoint. Returns one record of each kind, and the kind of each record. */
export function endpointKinds({ length, text, flags, strings }: RecordBatch): {
  kinds: number[];
  kindOf: Int32Array;
} {
  const { serverName, method, protocol, route, blueprint } = text;
  const kinds: number[] = [];
  const kindOf = new Int32Array(length);
  const known = new Map<number, Map<number, number>>();
  for (let i = 0; i < length; i++) {
    const source = (serverName[i]! * strings.length + route[i]!) * strings.length + blueprint[i]!;
    const transport = (method[i]! * strings.length + protocol[i]!) * 2 + (flags[i]! & FLAG_AUTHORIZATION);
    let transports = known.get(source);
    if (!transports) {
      transports = new Map();
      known.set(source, transports);
    }
    let kind = transports.get(transport);
    if (kind === undefined) {
      kind = kinds.push(i) - 1;
      transports.set(transport, kind);
    }
    kindOf[i] = kind;
  }
  return { kinds, kindOf };
}

/**
 * Returns the endpoint of a record.
 * @param idOf Returns the ID of a text of the batch.
 */
export function endpointOf(
  { text, flags }: RecordBatch,
  index: number,
  idOf: (local: number) => number,
): Endpoint {
  return {
    serverName: idOf(text.serverName[index]!),
    method: idOf(text.method[index]!),
    protocol: idOf(text.protocol[index]!),
    route: idOf(text.route[index]!),
    blueprint: idOf(text.blueprint[index]!),
    credentials: flags[index]! & FLAG_AUTHORIZATION,
  };
}

function name(endpoint: Endpoint): string {
  return ENDPOINT_COLUMNS.map((column) => endpoint[column]).join(' ');
}
