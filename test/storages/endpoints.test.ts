import { describe, expect, test } from 'vitest';
import type { RecordBatch } from '../../src/batch.ts';
import { ENDPOINT_COLUMNS } from '../../src/storages/sql/columns.ts';
import {
  type Endpoint,
  endpointIdsOf,
  endpointKinds,
  endpointName,
  endpointValues,
} from '../../src/storages/sql/endpoints.ts';
import { RowIds } from '../../src/storages/sql/row-ids.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';

const batch = (records: TestRecord[]) => new TestJournal('a', []).batch(records).records;

/** One record for each field that distinguishes endpoints, and one that differs in none of them. */
const RECORDS: TestRecord[] = [
  {},
  { url: 'http://other/' },
  { serverName: 'other' },
  { method: 'PUT' },
  { protocol: 'HTTP/2.0' },
  { route: '/other' },
  { blueprint: '/other' },
  { authorization: true },
  { bot: true },
  { route: '/other' },
];

test('records are grouped by the fields of an endpoint', () => {
  const { kinds, kindOf } = endpointKinds(batch(RECORDS));
  expect(kinds).toEqual([0, 2, 3, 4, 5, 6, 7]);
  expect([...kindOf]).toEqual([0, 0, 1, 2, 3, 4, 5, 6, 0, 4]);
  expect(endpointKinds(batch([]))).toEqual({ kinds: [], kindOf: new Int32Array(0) });
});

test('texts in other fields make other endpoints', () => {
  const texts = [null, 'a', 'b', 'c'];
  const records = texts.flatMap((serverName) =>
    texts.flatMap((method) =>
      texts.flatMap((protocol) =>
        texts.flatMap((route) =>
          texts.flatMap((blueprint) =>
            [false, true].map((authorization) => ({
              serverName,
              method,
              protocol,
              route,
              blueprint,
              authorization,
            })),
          ),
        ),
      ),
    ),
  );
  expect(endpointKinds(batch(records)).kinds).toHaveLength(4 ** 5 * 2);
});

test('an endpoint has the IDs of its texts', () => {
  const record = { serverName: 's', method: 'm', protocol: 'p', route: 'r', blueprint: 'b' };
  const records = batch([record, { ...record, authorization: true, bot: true }]);
  const texts: Record<string, number> = { s: 11, m: 12, p: 13, r: 14, b: 15 };
  const idOf = (local: number) => texts[records.strings[local]!]!;
  const rowOf = (index: number) =>
    Object.fromEntries(
      ENDPOINT_COLUMNS.map((column, n) => [column, endpointValues(records, index, idOf)[n]]),
    );
  const ids = { server_name: 11, method: 12, protocol: 13, route: 14, blueprint: 15 };
  expect(rowOf(0)).toEqual({ ...ids, credentials: 0 });
  expect(rowOf(1)).toEqual({ ...ids, credentials: 1 });
});

describe('the IDs of endpoints', () => {
  const ids = Float64Array.from({ length: 50 }, (_, i) => 100 + i);

  /** A database that has some endpoints and adds others, but not those of `hidden` calls. */
  function database(hidden = 0) {
    const known = new Map<string, number>();
    const calls: Endpoint[][] = [];
    const endpoints = new RowIds<Endpoint>(async (wanted) => {
      calls.push([...wanted]);
      if (calls.length <= hidden) return new Map();
      const found = wanted.map(({ values }): [string, number] => {
        const name = endpointName(
          Object.fromEntries(ENDPOINT_COLUMNS.map((column, n) => [column, values[n]])),
        );
        const id = known.get(name) ?? known.size + 1;
        known.set(name, id);
        return [name, id];
      });
      return new Map(found);
    });
    const idsOf = (records: RecordBatch) => endpointIdsOf(records, ids, endpoints);
    return { known, calls, idsOf, forget: () => endpoints.forget() };
  }

  test('are looked up once for each endpoint, and cached until a failure', async () => {
    const { known, calls, idsOf, forget } = database();
    const records = batch(RECORDS);
    const found = await idsOf(records);
    const idOf = (index: number) =>
      known.get(endpointValues(records, index, (local) => ids[local]!).join(' '));
    expect([...found]).toEqual(RECORDS.map((_, index) => idOf(index)));
    expect(calls.map(({ length }) => length)).toEqual([7]);
    expect(await idsOf(batch(RECORDS))).toEqual(found);
    expect(calls).toHaveLength(1);
    // Only the one that is not known yet.
    await idsOf(batch([...RECORDS, { method: 'GET', route: '/other', authorization: true }]));
    expect(calls.map(({ length }) => length)).toEqual([7, 1]);
    forget();
    expect(await idsOf(batch(RECORDS))).toEqual(found);
    expect(calls.map(({ length }) => length)).toEqual([7, 1, 7]);
  });

  test('are looked up in the same order by all writers, which then cannot deadlock', async () => {
    const [one, other] = [database(), database()];
    const records = batch(RECORDS);
    await one.idsOf(records);
    const reversed = batch(RECORDS);
    for (const column of Object.values(reversed.text)) column.subarray(0, RECORDS.length).reverse();
    reversed.flags.subarray(0, RECORDS.length).reverse();
    await other.idsOf(reversed);
    expect(other.calls[0]).toEqual(one.calls[0]);
  });

  test('are looked up at most five times', async () => {
    const late = database(4);
    expect(await late.idsOf(batch([{}]))).toEqual(new Int32Array([1]));
    expect(late.calls).toHaveLength(5);
    const never = database(Number.POSITIVE_INFINITY);
    await expect(never.idsOf(batch([{}]))).rejects.toThrow('neither found nor added');
    expect(never.calls).toHaveLength(5);
  });
});
