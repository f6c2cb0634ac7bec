import { deepStrictEqual as equal, ok } from 'node:assert';
import type { DeltaRow } from '../storage/batch-rows.ts';
import type {
  KeyRow,
  KeysRequest,
  PruneRequest,
  RecountRequest,
  StorageMaintenance,
  StorageWriter,
} from '../storage/contract.ts';
import type { Part, StoredRetention } from '../storage/retention.ts';
import { CHANGES, OTHERS } from '../summaries/coverage.ts';
import { PERIODS, type Period } from '../summaries/periods.ts';
import { sumReferrers, sumUrls, sumVisitors } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import type { QueryClient } from './query-client.ts';
import { Random } from './random.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, besideMemory, type CaseLocation, openWriter, put, rows, usage } from './support.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Start of the hour, the day and the month of `NOON`. */
const BUCKETS: Readonly<Record<Period, number>> = {
  hour: Date.UTC(2026, 10, 24, 12),
  day: Date.UTC(2026, 10, 24),
  month: Date.UTC(2026, 10, 1),
};
/** Maximum number of steps after which deleting must be complete. */
const MAX_STEPS = 10_000;

/** Corrections of sums, retention, recounts and sizes. */
export function maintenanceCases(subject: Subject): TestCase[] {
  if (subject.cannot?.maintenance) return [];
  return [
    ...correctionCases(subject),
    ...leaseCases(subject),
    ...pruneCases(subject),
    ...sweepCases(subject),
    ...recountCases(subject),
    sizes(subject),
  ];
}

/** Returns the deletion of data of a writer. */
export function maintenanceOf(writer: StorageWriter): StorageMaintenance {
  ok(writer.maintenance, 'the writer has no "maintenance"');
  return writer.maintenance;
}

/** Sweeps until a pass is complete, and then once more, because the first pass may have been that of another writer. */
export async function sweep(maintenance: StorageMaintenance, between = async () => {}): Promise<void> {
  for (let pass = 0; pass < 2; pass++) {
    let steps = 0;
    while (await maintenance.sweep()) {
      steps += 1;
      ok(steps < MAX_STEPS, 'sweeping does not end');
      await between();
    }
  }
}

/** Prunes until nothing is left. Returns the number of deleted rows. */
async function prune(maintenance: StorageMaintenance, request: PruneRequest): Promise<number> {
  let deleted = 0;
  for (let steps = 0; ; steps++) {
    ok(steps < MAX_STEPS, 'pruning does not end');
    const rowsOfStep = await maintenance.prune(request);
    if (rowsOfStep === 0) return deleted;
    deleted += rowsOfStep;
  }
}

const hitsOf = (found: Awaited<ReturnType<typeof rows>>) => found.map(([key, hits]) => [key, hits]);

/** Returns changes of each period for keys of the hour of `NOON`. */
export function corrections(
  summary: string,
  changes: readonly (readonly [key: string | null, requests: number])[],
): DeltaRow[] {
  return changes.flatMap(([key, requests]) =>
    PERIODS.map((period): DeltaRow => {
      const measures = { hits: requests, transfer: 5 * requests, errors: 0, duration: 1_500 * requests };
      return { summary, period, bucket: BUCKETS[period], key, ...measures };
    }),
  );
}

/** Returns the change of `CHANGES` that belongs to each correction. */
export function change(): DeltaRow {
  const measures = { hits: 1, transfer: 0, errors: 0, duration: 0 };
  return { summary: CHANGES.name, period: 'month', bucket: BUCKETS.month, key: null, ...measures };
}

function correctionCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'corrections: a key whose hits become 0 is gone, and may return',
      run: () =>
        besideMemory(subject, [sumReferrers], async ({ tested, memory, readers, keep, compare }) => {
          const writers = [keep(await openWriter(tested)), keep(await openWriter(memory))];
          const journal = new TestJournal('b', tested.summaries);
          const apply = async (batch: ReturnType<TestJournal['batch']>) => {
            for (const writer of writers) equal(await put(writer, batch), true);
          };
          await apply(journal.batch(['a', 'a', 'b', 'c', null].map((referrer) => ({ referrer }))));
          const expect = async (what: string, expected: unknown[]) => {
            const { same } = await compare();
            for (const period of PERIODS) {
              equal(await same(what, (of) => rows(of, 'referrers', period)), expected, `${what}, ${period}`);
            }
            await same(what, (of) => of.top('referrers'));
            const request: KeysRequest = {
              ...{ site: 'default', summary: 'referrers', order: 'hits', search: 'a', limit: 0, offset: 0 },
              spans: [{ period: 'day', from: BUCKETS.day, to: BUCKETS.day }],
            };
            const [reader, wanted] = readers;
            equal(await reader.keys(request), await wanted.keys(request));
            const total = { ...request, target: undefined };
            equal(await reader.total(total), await wanted.total(total));
          };
          await apply(
            journal.correction([
              ...corrections('referrers', [
                ['a', -2],
                ['b', -1],
                [OTHERS, 2],
                [null, -1],
              ]),
              change(),
            ]),
          );
          await expect('removed', [
            [OTHERS, 2, 10, 0, 3_000],
            ['c', 1, 5, 0, 1_500],
          ]);
          await apply(
            journal.correction([
              ...corrections('referrers', [
                ['b', 3],
                [OTHERS, -1],
                ['c', -1],
              ]),
              change(),
            ]),
          );
          await apply(journal.batch([{ referrer: 'a', contentLength: 1, duration: 2, status: 500 }]));
          await expect('again', [
            ['b', 3, 15, 0, 4_500],
            [OTHERS, 1, 5, 0, 1_500],
            ['a', 1, 1, 1, 2],
          ]);
        }),
    },
    {
      name: 'corrections: a bucket whose keys are all removed is gone, others stay, and records do not change',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          await put(writer, journal.batch([{ url: 'a' }, { url: 'a', date: NOON + DAY }]));
          await put(writer, journal.correction(corrections('urls', [['a', -1]])));
          const client = await location.openClient(storage);
          const list = async (period: Period) =>
            (await client.sums('urls', { period })).map(({ date, hits }) => [date, hits]);
          equal(await list('hour'), [['2026-11-25T12:00:00+00:00', 1]]);
          equal(await list('day'), [['2026-11-25T00:00:00+00:00', 1]]);
          equal(await list('month'), [['2026-11-01T00:00:00+00:00', 1]]);
          equal((await usage(client)).length, 2);
          equal({ ...(await writer.position(journal.id)) }, { position: 3 * 64, ordinal: 2 });
        }),
    },
  ];
}

function leaseCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'leases: one holder at a time, for each task and site',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          const open = async (site = 'default') =>
            maintenanceOf(location.keep(await openWriter(storage, { site })));
          const [a, b, other] = [await open(), await open(), await open('other')];
          const prune = { task: 'prune', ms: 600_000 };
          equal(await a.lease({ ...prune, holder: 'a' }), true);
          equal(await b.lease({ ...prune, holder: 'b' }), false);
          equal(await a.lease({ ...prune, holder: 'a' }), true, 'renewed');
          const rebuild = { ...prune, task: 'rebuild' };
          equal(await b.lease({ ...rebuild, holder: 'b' }), true, 'another task');
          // Not of `prune`, which an engine may run for one site of a database at a time.
          equal(await other.lease({ ...rebuild, holder: 'c' }), true, 'another site');
          equal(await b.lease({ ...prune, holder: 'b', ms: 0 }), false, 'only its holder ends it');
          equal(await a.lease({ ...prune, holder: 'a', ms: 0 }), true, 'ended');
          equal(await b.lease({ ...prune, holder: 'b' }), true);
          equal(await a.lease({ ...prune, holder: 'a' }), false);
        }),
    },
    {
      name: 'leases: a lease that is not renewed ends by itself, and goes to one of those who wait',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          const open = async () => maintenanceOf(location.keep(await openWriter(storage)));
          const [a, b, c] = [await open(), await open(), await open()];
          const request = { task: 'prune', ms: 600_000 };
          equal(await a.lease({ task: 'prune', holder: 'a', ms: 50 }), true);
          const deadline = Date.now() + 20_000;
          for (;;) {
            const taken = await Promise.all([
              b.lease({ ...request, holder: 'b' }),
              c.lease({ ...request, holder: 'c' }),
            ]);
            ok(!(taken[0] && taken[1]), 'both have it');
            if (taken[0] || taken[1]) break;
            ok(Date.now() < deadline, 'the lease does not end');
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
          equal(await a.lease({ ...request, holder: 'a' }), false);
        }),
    },
  ];
}

function pruneCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'retention: is returned as stored, and the start of the kept data never decreases',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          const a = maintenanceOf(location.keep(await openWriter(storage)));
          const b = maintenanceOf(location.keep(await openWriter(storage)));
          const stored = () => storage.reader.retention('default');
          equal(await stored(), {});
          const first: StoredRetention = {
            records: { keep: '30d', before: 2_000 },
            hour: { keep: '60d', before: 1_000 },
            day: { keep: '2y', before: null },
            month: { keep: 'forever', before: null },
          };
          await a.retain(first);
          equal(await stored(), first);
          await b.retain({
            records: { keep: '90d', before: 1_500 },
            hour: { keep: 'forever', before: null },
            day: { keep: '1y', before: 3_000 },
          });
          equal(await stored(), {
            records: { keep: '90d', before: 2_000 },
            hour: { keep: 'forever', before: 1_000 },
            day: { keep: '1y', before: 3_000 },
            month: { keep: 'forever', before: null },
          });
          equal(await storage.reader.retention('other'), {});
        }),
    },
    {
      name: 'pruning: each part is deleted in small steps, oldest first, and nothing else',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls, sumReferrers]);
          const writer = location.keep(await openWriter(storage));
          const maintenance = maintenanceOf(writer);
          const of = (site?: string) => {
            const journal = new TestJournal(site ? 'b' : 'a', storage.summaries, 'UTC', site);
            return journal.batch(
              // The last is in the next month.
              [0, 1, 2, 3, 10].flatMap((day) => [
                { date: NOON + day * DAY, url: `${day}`, referrer: `from ${day}` },
                { date: NOON + day * DAY + HOUR, url: `${day}` },
                { date: NOON + day * DAY + HOUR + 1, url: 'always' },
              ]),
            );
          };
          await put(writer, of());
          const other = location.keep(await openWriter(storage, { site: 'other' }));
          await put(other, of('other'));
          const client = await location.openClient(storage);
          const count = async (site = 'default') => {
            const sums = async (period: Period) =>
              (
                await Promise.all(['urls', 'referrers'].map((name) => client.sums(name, { period, site })))
              ).flat().length;
            return [
              (await usage(client, { site })).length,
              await sums('hour'),
              await sums('day'),
              await sums('month'),
            ];
          };
          const whole = [15, 25, 20, 14];
          equal(await count(), whole);
          const step = async (part: Part, day: number, limit = 1) => {
            const before = BUCKETS.day + day * DAY;
            const deleted = await prune(maintenance, { part, before, limit });
            equal(await maintenance.prune({ part, before, limit }), 0);
            equal(await count('other'), whole);
            return deleted;
          };
          equal(await step('records', 2), 6);
          equal(await count(), [9, 25, 20, 14]);
          equal(Math.min(...(await usage(client)).map(({ date }) => date)), NOON + 2 * DAY);
          const coverage = 2;
          equal(await step('hour', 1), 5 + coverage);
          equal(await count(), [9, 20, 20, 14]);
          equal(await step('hour', 3, 1_000), 10 + 2 * coverage);
          equal(await count(), [9, 10, 20, 14]);
          equal(await step('day', 7, 3), 16 + 4);
          equal(await count(), [9, 10, 4, 14]);
          equal(await step('month', 7, 2), 10 + 1);
          equal(await count(), [9, 10, 4, 4]);
          equal(hitsOf(await rows(client, 'urls', 'month')), [
            ['10', 2],
            ['always', 1],
          ]);
          equal(await step('records', 11), 9);
          equal(await count(), [0, 10, 4, 4]);
        }),
    },
    {
      name: 'retention: a later start is replaced if a wrong clock stored it, and the times are those of the storage',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          const writer = location.keep(await openWriter(storage));
          const maintenance = maintenanceOf(writer);
          const { now, ...empty } = await maintenance.times();
          equal(empty, { newest: undefined, retention: {} });
          ok(now === undefined || Math.abs(now - Date.now()) < DAY, `${now} is not the time of a server`);
          const wrong: StoredRetention = {
            records: { keep: '30d', before: BUCKETS.day + 3_650 * DAY },
            hour: { keep: '60d', before: BUCKETS.day },
          };
          await maintenance.retain(wrong);
          await maintenance.retain({ records: { keep: '90d', before: BUCKETS.day } });
          equal((await storage.reader.retention('default')).records?.before, wrong.records!.before);
          await maintenance.retain({ records: { keep: '90d', before: BUCKETS.day - DAY } }, true);
          const right = { ...wrong, records: { keep: '90d', before: BUCKETS.day - DAY } };
          equal(await storage.reader.retention('default'), right);
          await maintenance.retain({ records: { keep: '90d', before: BUCKETS.day } });
          const journal = new TestJournal('a', storage.summaries);
          await put(writer, journal.batch([{ date: NOON }, { date: NOON - DAY }]));
          const { newest, retention } = await maintenance.times();
          equal(newest, NOON);
          equal(retention, { ...wrong, records: { keep: '90d', before: BUCKETS.day } });
        }),
    },
    {
      name: 'pruning: a late record of a pruned hour reaches its day and month, and is pruned again',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const late = location.keep(await openWriter(storage));
          const maintenance = maintenanceOf(writer);
          const journals = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
          await put(writer, journals[0]!.batch([{ url: 'a' }, { url: 'b' }]));
          await put(late, journals[1]!.batch([{ url: 'a' }]));
          const before = BUCKETS.day + DAY;
          const client = await location.openClient(storage);
          for (let n = 1; n <= 2; n++) {
            for (const part of ['records', 'hour'] as const)
              await prune(maintenance, { part, before, limit: 10 });
            await sweep(maintenance);
            equal(await client.sums('urls', { period: 'hour' }), []);
            equal(await usage(client), []);
            equal(hitsOf(await rows(client, 'urls', 'day')), [
              ['a', 1 + n],
              ['b', n],
            ]);
            await put(late, journals[1]!.batch([{ url: 'b' }, { url: 'a' }]));
            for (const period of ['day', 'month'] as const) {
              equal(hitsOf(await rows(client, 'urls', period)), [
                ['a', 2 + n],
                ['b', 1 + n],
              ]);
            }
          }
        }),
    },
  ];
}

/** Record whose texts are all different from those of other records. */
function unique(id: string, date = NOON): TestRecord {
  return {
    date,
    url: `http://localhost/${id}`,
    urlKey: `/${id}`,
    path: `/path-${id}`,
    referrerHost: `host-${id}`,
    campaign: `campaign-${id}`,
    device: `device-${id}`,
    class: `class-${id}`,
    route: `/route-${id}`,
    serverName: `server-${id}`,
    method: `M${id}`,
    blueprint: `/blueprint-${id}`,
    remoteAddr: `address-${id}`,
    forwardedFor: `forwarded-${id}`,
    agent: `agent-${id}`,
    browser: `browser-${id}`,
    language: `language-${id}`,
    referrer: `referrer-${id}`,
    username: `user-${id}`,
    visitor: `visitor-${id}`,
    country: id.slice(0, 2),
  };
}

/** Returns the texts of a record that identify it. */
async function read(client: QueryClient): Promise<unknown[]> {
  return (await usage(client)).map((record) => {
    const { date, serverName, method, url, route, blueprint, remoteAddr, forwardedFor } = record;
    const { userAgent, language, referrer, username, visitor, country } = record;
    const { referrerHost, campaign, class: found } = record;
    const agent = [userAgent?.string, userAgent?.browser, userAgent?.device];
    return [
      ...[date, serverName, method, url, route, blueprint, remoteAddr, forwardedFor, ...agent],
      ...[language, referrer, username, visitor, country, referrerHost, campaign, found],
    ];
  });
}

function sweepCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'sweeping: texts in use stay, and deleted ones return correctly through a writer that knows their old IDs',
      run: () =>
        besideMemory(subject, [sumUrls, sumVisitors], async ({ tested, memory, keep, compare }) => {
          const [a, b] = [keep(await openWriter(tested)), keep(await openWriter(tested))];
          const wanted = keep(await openWriter(memory));
          const journals = ['b', 'c'].map((id) => new TestJournal(id, tested.summaries));
          const add = async (writer: StorageWriter, records: readonly TestRecord[]) => {
            const batch = journals[writer === a ? 0 : 1]!.batch(records);
            for (const each of [writer, wanted]) equal(await put(each, batch), true);
          };
          const old = Array.from({ length: 40 }, (_, n) => unique(`old${n}`, NOON - 2 * DAY + n));
          await add(a, old);
          await add(b, old);
          // Texts of records that stay, some in sums as well.
          await add(b, [
            unique('kept'),
            unique('old1'),
            { ...unique('old2'), url: 'http://localhost/new', urlKey: '/key' },
          ]);
          for (const part of ['records', 'hour', 'day'] as const) {
            for (const writer of [a, wanted]) {
              await prune(maintenanceOf(writer), { part, before: BUCKETS.day, limit: 7 });
            }
          }
          let steps = 0;
          // The other writer uses texts while they are swept.
          await sweep(maintenanceOf(a), async () => {
            steps += 1;
            if (steps < 40)
              await add(b, [unique(`old${steps}`, NOON + steps), unique(`new${steps}`, NOON + steps)]);
          });
          const again = old.map((record, n) => ({ ...record, date: NOON + HOUR + n }));
          await add(b, again);
          await add(a, again);
          const { same } = await compare();
          await same('records', read);
          for (const summary of ['urls', 'visitors']) {
            for (const period of PERIODS) await same(summary, (of) => rows(of, summary, period));
            await same(summary, (of) => of.top(summary, { filter: { status: '200' } }));
          }
        }),
    },
    {
      name: 'sweeping: any order of batches, corrections, prunings and sweeps of two writers gives what the storage in memory gives',
      run: () =>
        besideMemory(subject, [sumUrls], async ({ tested, memory, keep, compare }) => {
          const random = new Random(61);
          const writers = [keep(await openWriter(tested)), keep(await openWriter(tested))];
          const wanted = keep(await openWriter(memory));
          const journals = ['b', 'c'].map((id) => new TestJournal(id, tested.summaries));
          let day = 0;
          for (let n = 0; n < 60; n++) {
            const by = random.below(2);
            const writer = writers[by]!;
            const action = random.below(6);
            if (action === 0) {
              day += random.below(2);
              const part = random.of(['records', 'hour', 'day'] as const);
              const request = { part, before: BUCKETS.day + day * DAY, limit: 5 };
              for (const each of [writer, wanted]) await prune(maintenanceOf(each), request);
            } else if (action <= 2) {
              for (let step = random.below(4); step > 0; step--) await maintenanceOf(writer).sweep();
            } else {
              const batch = journals[by]!.batch(
                Array.from({ length: random.below(6) }, () =>
                  unique(String(random.below(12)), NOON + (day + random.below(3) - 1) * DAY + n),
                ),
              );
              for (const each of [writer, wanted]) equal(await put(each, batch), true);
            }
          }
          for (const writer of writers) await sweep(maintenanceOf(writer));
          const { same } = await compare();
          await same('records', async (of) => (await read(of)).map((row) => JSON.stringify(row)).sort());
          for (const period of PERIODS) await same(period, (of) => rows(of, 'urls', period));
        }),
    },
    {
      name: 'sweeping: what nothing refers to any longer is removed, and scrubbing removes it from the files',
      run: () => at(subject, (location) => scrubbed(subject, location)),
    },
  ];
}

async function scrubbed(subject: Subject, location: CaseLocation): Promise<void> {
  const storage = location.storage([sumUrls]);
  const writer = location.keep(await openWriter(storage));
  const maintenance = maintenanceOf(writer);
  const journal = new TestJournal('a', storage.summaries);
  const [gone, kept] = ['d41d8cd98f', 'a3f5c9e7b1'];
  // Many texts with the same beginning, so that some are copied when pages or blocks are split.
  const records = Array.from({ length: 300 }, (_, n) =>
    unique(`${gone}-${(n * 7_919) % 300}`, NOON - DAY + n),
  );
  await put(writer, journal.batch(records));
  await put(writer, journal.batch([unique(kept)]));
  for (const part of ['records', 'hour', 'day'] as const) {
    await prune(maintenance, { part, before: BUCKETS.day, limit: 1_000 });
  }
  const month = records.map(({ urlKey }): DeltaRow => {
    const measures = { hits: -1, transfer: -5, errors: 0, duration: -1_500 };
    return { summary: 'urls', period: 'month', bucket: BUCKETS.month, key: urlKey!, ...measures };
  });
  await put(writer, journal.correction(month));
  await sweep(maintenance);
  await maintenance.scrub();
  if (location.contains) {
    equal(await location.contains(`visitor-${kept}`), true);
    equal(await location.contains(gone), false);
  }
  const client = await location.openClient(storage);
  equal((await usage(client)).length, 1);
  equal(hitsOf(await rows(client, 'urls', 'month')), [[`/${kept}`, 1]]);
  const { texts } = await storage.reader.size();
  ok(texts.rows === null || subject.server !== undefined || texts.rows < 40, `${texts.rows} texts`);
}

function recountCases(subject: Subject): TestCase[] {
  const request: RecountRequest = {
    site: 'default',
    summary: sumUrls,
    period: 'hour',
    from: BUCKETS.hour,
    to: BUCKETS.hour + HOUR - 1,
  };
  return [
    {
      name: 'recounts: a bucket as stored and as its records add up, which differ if it was changed',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          await put(
            writer,
            journal.batch([
              ...[{ url: 'a', status: 500 }, { url: 'b' }, { url: 'a' }],
              ...[
                { date: request.from - 1 },
                { date: request.from },
                { date: request.to },
                { date: request.to + 1 },
              ],
            ]),
          );
          const of = (key: string, hits: number, errors = 0) => {
            return { key, hits, transfer: 5 * hits, errors, duration: 1_500 * hits };
          };
          const localhost = of('http://localhost/', 2);
          const counted = [of('a', 2, 1), localhost, of('b', 1)];
          const coverage = [of('urls', 5, 1)];
          const recount = () => storage.reader.recount(request);
          equal(structuredClone(await recount()), { stored: counted, counted, coverage, records: 5 });
          const { from, to } = { from: BUCKETS.day, to: BUCKETS.day + DAY - 1 };
          const day = await storage.reader.recount({ ...request, period: 'day', from, to });
          equal(day.records, 7);
          equal(day.stored, day.counted);
          // Only the hour is damaged.
          const damage = corrections('urls', [
            ['b', -1],
            ['c', 3],
          ]).filter(({ period }) => period === 'hour');
          await put(writer, journal.correction(damage));
          equal(structuredClone(await recount()), {
            stored: [of('c', 3), of('a', 2, 1), localhost],
            ...{ counted, coverage, records: 5 },
          });
          const never = await storage.reader.recount({ ...request, from: 0, to: HOUR - 1 });
          equal(structuredClone(never), { stored: [], counted: [], coverage: [], records: 0 });
        }),
    },
    {
      name: 'recounts: bots are no visitors, even if their records have the ID of one',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumVisitors]);
          const writer = location.keep(await openWriter(storage));
          const bot = { bot: true, agent: 'Bot/1', browser: 'Bot' };
          await put(
            writer,
            new TestJournal('a', storage.summaries).batch([
              ...[{ visitor: 'a' }, { visitor: 'a' }, { visitor: 'a', ...bot, status: 500 }],
              ...[{ visitor: 'b', ...bot }, { visitor: 'c' }, { visitor: null }, { visitor: null, ...bot }],
            ]),
          );
          const summary = { name: 'visitors', title: 'sumVisitors', column: 'visitor' } as const;
          const { stored, counted, records } = await storage.reader.recount({ ...request, summary });
          const sumsBy = (found: readonly KeyRow[]) =>
            Object.fromEntries(found.map(({ key, hits, errors }) => [`${key}`, [hits, errors]]));
          equal(sumsBy(stored), { a: [3, 1], b: [1, 0], c: [1, 0], null: [2, 0] });
          equal(sumsBy(counted), { a: [2, 0], c: [1, 0], null: [4, 1] });
          for (const { key } of [...stored, ...counted]) ok(key === null || key.length === 1, `${key}`);
          equal(records, 7);
        }),
    },
    {
      name: 'recounts: sums and records are of the same point in time while another writer writes',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumUrls]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          let isDone = false;
          let stored = 0;
          let recounted = 0;
          let resume = () => {};
          const writing = (async () => {
            while (!isDone || stored < 8) {
              await put(
                writer,
                journal.batch(
                  Array.from({ length: 50 }, (_, n) => ({ url: `http://localhost/${(n * stored) % 70}` })),
                ),
              );
              stored += 1;
              // Not so far ahead that a slow engine recounts more and more records.
              const isAhead = stored > 2 * (recounted + 1) && !isDone;
              if (isAhead) await new Promise<void>((resolve) => (resume = resolve));
              // The reader may be in this thread.
              await new Promise((resolve) => setImmediate(resolve));
            }
          })();
          try {
            let last = 0;
            for (let n = 0; n < 10; n++) {
              const { stored: sums, counted, coverage, records } = await storage.reader.recount(request);
              equal(sums, counted);
              equal(
                coverage.reduce((sum, { hits }) => sum + hits, 0),
                records,
              );
              equal(
                sums.reduce((sum, { hits }) => sum + hits, 0),
                records,
              );
              ok(records >= last, 'records disappeared');
              last = records;
              recounted += 1;
              resume();
              await new Promise((resolve) => setImmediate(resolve));
            }
          } finally {
            isDone = true;
            resume();
            await writing;
          }
          equal((await storage.reader.recount(request)).records, 50 * stored);
        }),
    },
  ];
}

function sizes(subject: Subject): TestCase {
  return {
    name: 'sizes: each part has its rows, and unknown values are null',
    run: () =>
      at(subject, async (location) => {
        const storage = location.storage([sumUrls]);
        const writer = location.keep(await openWriter(storage));
        const random = new Random(1);
        await put(
          writer,
          new TestJournal('a', storage.summaries).batch(Array.from({ length: 2_000 }, () => random.record())),
        );
        const { free, total, ...parts } = await storage.reader.size();
        equal(Object.keys(parts).sort(), ['day', 'hour', 'month', 'records', 'texts']);
        for (const [name, { rows: count, bytes, indexes }] of Object.entries(parts)) {
          if (name !== 'texts') ok(count !== null && count > 0, `${count} rows of ${name}`);
          for (const value of [count, bytes, indexes]) {
            ok(value === null || (Number.isSafeInteger(value) && value >= 0), `${value} of ${name}`);
          }
        }
        ok(free === null || (Number.isSafeInteger(free) && free >= 0), `${free} free`);
        ok(total === null || total > 0, `${total} in total`);
      }),
  };
}
