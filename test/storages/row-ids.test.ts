import { expect, test } from 'vitest';
import { RowIds } from '../../src/storages/sql/row-ids.ts';

const rows = ['b', 'a', 'c'].map((name) => ({ name }));

test('rows are looked up in the order of their names, until each has an ID, and then remembered', async () => {
  const asked: string[][] = [];
  const ids = new RowIds(async (wanted) => {
    asked.push(wanted.map(({ name }) => name));
    // Another writer has added the last row meanwhile: only the next call finds it.
    return new Map(wanted.slice(0, 2).map(({ name }) => [name, name.charCodeAt(0)]));
  });
  expect(await ids.idsOf(rows)).toEqual([98, 97, 99]);
  expect(await ids.idsOf(rows)).toEqual([98, 97, 99]);
  expect(asked).toEqual([['a', 'b', 'c'], ['c']]);
  ids.forget();
  expect(await ids.idsOf([{ name: 'c' }])).toEqual([99]);
  expect(asked).toHaveLength(3);
});

test('rows that are never found are an error, after five attempts', async () => {
  let calls = 0;
  const ids = new RowIds(async () => {
    calls++;
    return new Map([['a', 1]]);
  });
  await expect(ids.idsOf(rows)).rejects.toThrow('2 rows were neither found nor added');
  expect(calls).toBe(5);
});
