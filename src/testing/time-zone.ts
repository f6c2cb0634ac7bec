import { deepStrictEqual as equal, rejects } from 'node:assert';
import { rebuild } from '../maintenance/rebuild.ts';
import type { Storage } from '../query/storage.ts';
import type { WriterContext } from '../storage/contract.ts';
import { MemoryStorage } from '../storages/memory/index.ts';
import { changingTo, PERIODS } from '../summaries/periods.ts';
import { sumUrls, sumVisitors } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { maintenanceOf } from './maintenance.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, openWriter, put, rows, usage } from './support.ts';

/** Zone with an offset of 9:30 on the date of the records. */
const ADELAIDE = 'Australia/Adelaide';
const BERLIN = 'Europe/Berlin';

/** Records at the end of a month in Adelaide, within one hour of UTC. */
const RECORDS: readonly TestRecord[] = [
  { date: Date.UTC(2026, 8, 30, 14, 15), visitor: 'visitor', status: 500 },
  { date: Date.UTC(2026, 8, 30, 14, 45), visitor: null },
];

/** Changes of a site's time zone. */
export function timeZoneCases(subject: Subject): TestCase[] {
  if (subject.cannot?.maintenance) return [];
  return [
    {
      name: 'time zone: only the stored one is replaced, and writers with another one store nothing, although they are open',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const open = async (timeZone: string) => location.keep(await openWriter(storage, { timeZone }));
          const [a, b] = [await open('UTC'), await open('UTC')];
          const journals = ['a', 'b', 'c'].map((id) => new TestJournal(id, storage.summaries));
          const of = (zone: string, id: string) => new TestJournal(id, storage.summaries, zone);
          await put(a, journals[0]!.batch([{ url: 'a' }]));
          await put(b, journals[1]!.batch([{ url: 'b' }]));
          const marker = changingTo(BERLIN);
          const first = maintenanceOf(a);
          equal(await first.setTimeZone({ from: ADELAIDE, to: BERLIN }), false);
          equal(await storage.reader.timeZone('default'), 'UTC');
          equal(await first.setTimeZone({ from: 'UTC', to: marker }), true);
          equal(await storage.reader.timeZone('default'), marker);
          const refused = [journals[1]!, journals[2]!].map((journal) => journal.batch([{ url: 'refused' }]));
          for (const batch of refused) await rejects(put(b, batch), { code: 'TIME_ZONE_CHANGING' });
          for (const zone of ['UTC', BERLIN, changingTo(ADELAIDE)]) {
            await rejects(open(zone), { code: 'TIME_ZONE_CHANGING' });
          }
          const changing = await open(marker);
          await put(changing, of(BERLIN, 'd').batch([{ url: 'd' }]));
          const second = maintenanceOf(changing);
          // As after an interruption.
          equal(await second.setTimeZone({ from: marker, to: marker }), true);
          equal(await second.setTimeZone({ from: marker, to: BERLIN }), true);
          equal(await maintenanceOf(await open(BERLIN)).setTimeZone({ from: marker, to: BERLIN }), true);
          for (const batch of refused) await rejects(put(b, batch), { code: 'STORAGE_TIME_ZONE' });
          await rejects(open('UTC'), { code: 'STORAGE_TIME_ZONE' });
          const changed = await open(BERLIN);
          await put(changed, of(BERLIN, 'e').batch([{ url: 'e' }]));
          const client = await location.openClient(storage);
          const urls = async () => (await usage(client)).map(({ url }) => url).sort();
          equal(await urls(), ['a', 'b', 'd', 'e']);
          // A refused batch is stored when the zone is the one of its writer again.
          equal(await maintenanceOf(changed).setTimeZone({ from: BERLIN, to: 'UTC' }), true);
          for (const batch of refused) equal(await put(b, batch), true);
          equal(await urls(), ['a', 'b', 'd', 'e', 'refused', 'refused']);
        }),
    },
    {
      name: 'time zone: after a change, all sums are those of the records in the new calendar',
      run: () =>
        at(subject, async (location) => {
          const summaries = [sumVisitors];
          const storage = location.storage(summaries);
          const writer = location.keep(await openWriter(storage));
          await put(writer, new TestJournal('a', summaries).batch(RECORDS));
          const client = await location.openClient(storage);
          // Results that a reader may cache.
          await rows(client, 'visitors', 'month');
          await client.top('visitors');
          await writer.close();
          // The names of the summaries must not be lost with their sums.
          await rejects(rebuild({ storage: interrupted(storage), timeZone: ADELAIDE }), /interrupted/);
          equal((await rebuild({ storage, timeZone: ADELAIDE })).timeZone, ADELAIDE);
          const app = location.keep(await openWriter(storage, { timeZone: ADELAIDE }));
          const wanted = location.keep(new MemoryStorage({ hooks: summaries }));
          const straight = location.keep(await openWriter(wanted, { timeZone: ADELAIDE }));
          const journal = new TestJournal('b', summaries, ADELAIDE);
          await put(straight, journal.batch(RECORDS));
          const more = journal.batch([{ date: NOON, visitor: 'later' }]);
          await put(straight, more);
          const later = new TestJournal('c', summaries, ADELAIDE);
          await put(app, later.batch([{ date: NOON, visitor: 'later' }]));
          for (const { name } of [...summaries, { name: 'coverage' }]) {
            for (const period of PERIODS) {
              const all = { site: 'default', from: -1e15, to: 1e15, target: undefined, limit: 0, offset: 0 };
              const sums = (of: typeof storage) => of.reader.sums({ summary: name, period, ...all });
              equal(structuredClone(await sums(storage)), await sums(wanted), `${name} ${period}`);
            }
          }
          const same = await location.openClient(wanted);
          equal(await client.top('visitors'), await same.top('visitors'));
          for (const period of PERIODS) {
            equal(await client.sums('visitors', { period }), await same.sums('visitors', { period }));
          }
        }),
    },
  ];
}

/** Returns a storage whose maintenance fails when all sums are removed. */
function interrupted(storage: Storage): Storage {
  const open = async (context: WriterContext) => {
    const writer = await openWriter(storage, context);
    const maintenance = maintenanceOf(writer);
    const prune = maintenance.prune.bind(maintenance);
    maintenance.prune = async (request) => {
      const deleted = await prune(request);
      if (request.part === 'month' && deleted === 0) throw new Error('interrupted');
      return deleted;
    };
    return writer;
  };
  return Object.create(storage, { openWriter: { value: open } }) as Storage;
}
