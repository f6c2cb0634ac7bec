import { FLAG_AUTHORIZATION, type RecordBatch } from '../../batch.ts';
import type { TextColumn } from '../../record.ts';
import { ENDPOINT_COLUMNS, ENDPOINT_TEXTS } from './columns.ts';
import type { NamedRow, RowIds } from './row-ids.ts';

/** Fields that many records share. */
export interface Endpoint extends NamedRow {
  /** Values of `ENDPOINT_COLUMNS`. */
  values: readonly number[];
}

const TEXTS = Object.keys(ENDPOINT_TEXTS) as TextColumn[];

/** Returns the endpoint ID of each record. `ids` are the IDs of the batch's texts. */
export async function endpointIdsOf(
  records: RecordBatch,
  ids: Float64Array,
  endpoints: RowIds<Endpoint>,
): Promise<Int32Array> {
  const { kinds, kindOf } = endpointKinds(records);
  const found = await endpoints.idsOf(
    kinds.map((index) => {
      const values = endpointValues(records, index, (local) => ids[local]!);
      return { name: values.join(' '), values };
    }),
  );
  return kindOf.map((kind) => found[kind]!);
}

/** Returns the name of an endpoint. */
export function endpointName(row: Readonly<Record<string, unknown>>): string {
  return ENDPOINT_COLUMNS.map((column) => row[column]).join(' ');
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
 * Returns the values of `ENDPOINT_COLUMNS` of a record.
 * @param idOf Returns the ID of a text of the batch.
 */
export function endpointValues(
  { text, flags }: RecordBatch,
  index: number,
  idOf: (local: number) => number,
): number[] {
  return [...TEXTS.map((column) => idOf(text[column][index]!)), flags[index]! & FLAG_AUTHORIZATION];
}
