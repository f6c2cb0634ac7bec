import { describe, expect, test } from 'vitest';
import {
  type Endpoint,
  type EndpointLookUp,
  Endpoints,
  endpointKinds,
  endpointOf,
} from '../../src/storages/sql/endpoints.ts';
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
  const ids = { serverName: 11, method: 12, protocol: 13, route: 14, blueprint: 15 };
  expect(endpointOf(records, 0, idOf)).toEqual({ ...ids, credentials: 0 });
  expect(endpointOf(records, 1, idOf)).toEqual({ ...ids, credentials: 1 });
});

describe('the IDs of endpoints', () => {
  const ids = Float64Array.from({ length: 50 }, (_, i) => 100 + i);

  /** A database that has some endpoints and adds others, but not those of `hidden` calls. */
  function database(hidden = 0) {
    const known = new Map<string, number>();
    const calls: Endpoint[][] = [];
    const lookUp: EndpointLookUp = async (wanted) => {
      calls.push([...wanted]);
      if (calls.length <= hidden) return [];
      return wanted.map((endpoint) => {
        const name = JSON.stringify(endpoint);
        const id = known.get(name) ?? known.size + 1;
        known.set(name, id);
        return { ...endpoint, id };
      });
    };
    return { known, calls, endpoints: new Endpoints(lookUp) };
  }

  test('are looked up once for each endpoint, and cached until a failure', async () => {
    const { known, calls, endpoints } = database();
    const records = batch(RECORDS);
    const found = await endpoints.idsOf(records, ids);
    const nameOf = (index: number) =>
      known.get(JSON.stringify(endpointOf(records, index, (local) => ids[local]!)));
    expect([...found]).toEqual(RECORDS.map((_, index) => nameOf(index)));
    expect(calls.map(({ length }) => length)).toEqual([7]);
    expect(await endpoints.idsOf(batch(RECORDS), ids)).toEqual(found);
    expect(calls).toHaveLength(1);
    // Only the one that is not known yet.
    await endpoints.idsOf(batch([...RECORDS, { method: 'GET', route: '/other', authorization: true }]), ids);
    expect(calls.map(({ length }) => length)).toEqual([7, 1]);
    endpoints.forget();
    expect(await endpoints.idsOf(batch(RECORDS), ids)).toEqual(found);
    expect(calls.map(({ length }) => length)).toEqual([7, 1, 7]);
  });

  test('are looked up in the same order by all writers, which then cannot deadlock', async () => {
    const [one, other] = [database(), database()];
    const records = batch(RECORDS);
    await one.endpoints.idsOf(records, ids);
    const reversed = batch(RECORDS);
    for (const column of Object.values(reversed.text)) column.subarray(0, RECORDS.length).reverse();
    reversed.flags.subarray(0, RECORDS.length).reverse();
    await other.endpoints.idsOf(reversed, ids);
    expect(other.calls[0]).toEqual(one.calls[0]);
  });

  test('are looked up at most five times', async () => {
    const late = database(4);
    expect(await late.endpoints.idsOf(batch([{}]), ids)).toEqual(new Int32Array([1]));
    expect(late.calls).toHaveLength(5);
    const never = database(Number.POSITIVE_INFINITY);
    await expect(never.endpoints.idsOf(batch([{}]), ids)).rejects.toThrow('neither found nor added');
    expect(never.calls).toHaveLength(5);
  });
});
