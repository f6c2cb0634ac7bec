import { deepStrictEqual as equal, ok } from 'node:assert';
import type { Person } from '../storage/contract.ts';
import { ERASED, OTHERS } from '../summaries/coverage.ts';
import { PERIODS } from '../summaries/periods.ts';
import { sumRemotes } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { change, corrections, maintenanceOf, sweep } from './maintenance.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, openWriter, put, rows, usage } from './support.ts';

const HOUR = 3_600_000;

/** Records of a person and of others who are easily taken for that person, with the number of matches of each. */
const PEOPLE: { person: Person; own: TestRecord[]; others: TestRecord[] }[] = [
  {
    person: { column: 'visitor', value: 'v1' },
    own: [{ visitor: 'v1' }, { visitor: 'v1', username: 'jane' }],
    others: [{ visitor: 'V1' }, { visitor: 'v11' }, { visitor: null, username: 'v1' }, { url: 'v1' }],
  },
  {
    person: { column: 'username', value: "j'ane%_" },
    own: [{ username: "j'ane%_" }],
    others: [{ username: "J'ane%_" }, { username: "j'aneXX" }, { visitor: "j'ane%_" }, { username: null }],
  },
  {
    person: { column: 'remoteAddr', value: '10.0.0.1' },
    own: [
      { remoteAddr: '10.0.0.1' },
      { remoteAddr: '10.0.0.9', forwardedFor: '10.0.0.1' },
      { remoteAddr: '10.0.0.9', forwardedFor: '10.0.0.5, 10.0.0.1' },
      { remoteAddr: null, forwardedFor: '10.0.0.1,10.0.0.5' },
      { remoteAddr: '10.0.0.9', forwardedFor: '10.0.0.5 , 10.0.0.1 ,10.0.0.6' },
    ],
    others: [
      { remoteAddr: '10.0.0.11' },
      { remoteAddr: '110.0.0.1' },
      { remoteAddr: '10.0.0.9', forwardedFor: '10.0.0.11, 110.0.0.1' },
      { remoteAddr: '10.0.0.9', forwardedFor: '10.0.0.1.2' },
      { remoteAddr: '10a0b0c1' },
      { remoteAddr: null, forwardedFor: null },
    ],
  },
];

/** Deletion of people. */
export function peopleCases(subject: Subject): TestCase[] {
  if (subject.cannot?.maintenance) return [];
  return [
    ...PEOPLE.map(
      ({ person, own, others }): TestCase => ({
        name: `people: the records of a ${person.column} are deleted, and no others`,
        run: () =>
          at(subject, async (location) => {
            const storage = location.storage([sumRemotes]);
            const writer = location.keep(await openWriter(storage));
            const maintenance = maintenanceOf(writer);
            const journal = new TestJournal('a', storage.summaries);
            const numbered = (records: readonly TestRecord[], prefix: string) =>
              records.map((record, n) => ({ url: `${prefix}${n}`, ...record, date: NOON + n * HOUR }));
            equal(await maintenance.erase(person, 10), 0);
            await put(writer, journal.batch([...numbered(own, 'own'), ...numbered(others, 'other')]));
            await put(writer, journal.batch(numbered(own, 'again')));
            const elsewhere = location.keep(await openWriter(storage, { site: 'elsewhere' }));
            await put(elsewhere, new TestJournal('b', [], 'UTC', 'elsewhere').batch(own));
            const client = await location.openClient(storage);
            const sums = await rows(client, 'remotes', 'month');
            let deleted = 0;
            for (let steps = 0; ; steps++) {
              ok(steps < 1_000, 'erasing does not end');
              const count = await maintenance.erase(person, 2);
              ok(count <= 2, `${count} records in one step`);
              if (count === 0) break;
              deleted += count;
            }
            equal(deleted, 2 * own.length);
            equal(
              (await usage(client)).map(({ url }) => url).sort(),
              [...numbered(others, 'other').map(({ url }) => url)].sort(),
            );
            equal((await usage(client, { site: 'elsewhere' })).length, own.length);
            equal(await rows(client, 'remotes', 'month'), sums, 'sums are moved by a correction');
            // A record that arrives later is deleted by the next call.
            await put(writer, journal.batch(own));
            ok((await maintenance.erase(person, 100)) > 0);
          }),
      }),
    ),
    {
      name: 'people: the key of a person is gone from every query and from the files, and totals stay',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumRemotes]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          const person: Person = { column: 'remoteAddr', value: '203.0.113.77' };
          const of = (remoteAddr: string, n: number): TestRecord => ({
            remoteAddr,
            url: `http://localhost/of-${remoteAddr}/${n}`,
            date: NOON + n,
          });
          await put(
            writer,
            journal.batch(
              Array.from({ length: 200 }, (_, n) => of(n % 2 === 0 ? person.value : `198.51.100.${n}`, n)),
            ),
          );
          // With a cache of past days, as a dashboard has.
          const client = await location.openClient(storage);
          const { total, count } = await client.top('remotes', { order: 'hits' });
          equal([total.hits, count], [200, 101]);
          const maintenance = maintenanceOf(writer);
          while ((await maintenance.erase(person, 30)) > 0);
          await put(
            writer,
            journal.correction([
              ...corrections('remotes', [
                [person.value, -100],
                [OTHERS, 100],
              ]),
              ...corrections(ERASED.name, [[null, 100]]),
              change(),
            ]),
          );
          await sweep(maintenance);
          await maintenance.scrub();
          const after = await client.top('remotes');
          equal(after.total, total);
          equal(after.rows[0], { ...after.rows[0]!, key: OTHERS, hits: 100 });
          for (const period of PERIODS) {
            const keys = (await rows(client, 'remotes', period)).map(([key]) => key);
            equal(keys.includes(person.value), false);
          }
          equal((await usage(client)).length, 100);
          if (location.contains) {
            equal(await location.contains('198.51.100.1'), true);
            equal(await location.contains(person.value), false);
          }
        }),
    },
  ];
}
