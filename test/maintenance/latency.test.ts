import { describe, expect, test } from 'vitest';
import { defineSummary, forget, rebuild, sumRoutes, verify } from '../../src/index.ts';
import { companionName, companionOf } from '../../src/summaries/latency.ts';
import { NOON, TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { sqlite, storageWith, sumsOf } from './support.ts';

const DAY = 24 * 3_600_000;
const people = { name: 'people', key: () => null };
const sumPeople = defineSummary({ ...people, latency: true });
const sumPeopleAlone = defineSummary(people);
const SUMMARIES = [sumRoutes, sumPeople];
const WITH_COMPANIONS = [sumRoutes, sumPeople, companionOf(sumRoutes), companionOf(sumPeople)];

const RECORDS: TestRecord[] = Array.from({ length: 40 }, (_, i) => ({
  date: NOON - (i % 3) * DAY,
  duration: 3 ** (i % 12),
  route: ['/a', '/b|c', null][i % 3] as string | null,
  username: i % 5 === 0 ? 'jane' : 'bob',
  extra: { keys: { people: i % 5 === 0 ? ['jane', 'all'] : i % 7 === 0 ? [] : ['janet', 'all'] } },
}));

describe('latency', () => {
  test('verify finds damaged and lost counts, and rebuild repairs them', async () => {
    const { storage, writer } = await storageWith(SUMMARIES, RECORDS);
    const wanted = await sumsOf(storage, WITH_COMPANIONS);
    expect(await verify({ storage })).toMatchObject({ count: 0, notCounted: [], uncountable: [] });
    const [damaged] = (await storage.getSum(sumRoutes, { period: 'day' })).map(({ date }) =>
      Date.parse(date),
    );
    const row = { period: 'day', bucket: damaged!, transfer: 0, errors: 0, duration: 0 } as const;
    await writer.apply(
      new TestJournal('damage', []).correction([
        { ...row, summary: companionName('routes'), key: '1|/a', hits: 5 },
        { ...row, summary: companionName('people'), key: '1|janet', hits: 2 },
      ]),
    );
    const { differences } = await verify({ storage });
    expect(differences.map(({ summary, key }) => [summary, key])).toEqual([
      ['people|latency', '1|janet'],
      ['routes|latency', '1|/a'],
    ]);
    expect(await rebuild({ storage })).toMatchObject({ rebuilt: 2, refused: [], uncountable: [] });
    expect(await sumsOf(storage, WITH_COMPANIONS)).toEqual(wanted);
  });

  test('rebuild fills distributions that are kept since later', async () => {
    const all = await storageWith(SUMMARIES, RECORDS);
    const before = { ...sumRoutes, latency: false };
    const { storage, apply } = await storageWith(SUMMARIES, []);
    await apply(RECORDS.slice(0, 30), [before, sumPeopleAlone]);
    await apply(RECORDS.slice(30));
    expect((await verify({ storage })).notCounted.map(({ summary }) => summary)).toContain('people|latency');
    expect(await rebuild({ storage })).toMatchObject({ refused: [], uncountable: [] });
    expect(await sumsOf(storage, WITH_COMPANIONS)).toEqual(await sumsOf(all.storage, WITH_COMPANIONS));
    const { totals } = await storage.query.totals({ from: NOON - 9 * DAY, to: NOON, latency: true });
    expect(totals.latency?.hits).toBe(totals.hits);
  });

  test('forget moves the bins of a person to the requests without a key', async () => {
    const storage = sqlite(SUMMARIES);
    await storageWith(SUMMARIES, RECORDS, { storage });
    const options = { from: NOON - 9 * DAY, to: NOON, latency: true, limit: 0 } as const;
    const before = await storage.query.top(sumPeople, options);
    const person = { column: 'username', value: 'jane' } as const;
    expect((await forget({ storage, person })).keys).toEqual([{ summary: 'people', buckets: 7, hits: 8 }]);
    const { rows } = await storage.query.top(sumPeople, options);
    const hits = (of: typeof rows, key: string | null) => of.find((row) => row.key === key)?.latency?.hits;
    expect(rows.map(({ key }) => key).toSorted()).toEqual(['all', 'janet', null].toSorted());
    for (const row of rows) expect(row.latency?.hits).toBe(row.hits);
    expect(hits(rows, null)).toBe((hits(before.rows, null) ?? 0) + 8);
    const texts = JSON.stringify(await sumsOf(storage, WITH_COMPANIONS));
    expect(texts).toContain('|janet');
    expect(texts).not.toContain('|jane"');
  });
});
