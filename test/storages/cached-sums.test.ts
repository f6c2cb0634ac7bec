import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, expect, test } from 'vitest';
import { STANDARD_SUMMARIES, type Summary, sumServer, sumUrls } from '../../src/index.ts';
import type { DeltaRow } from '../../src/storage/batch-rows.ts';
import { CachedSums } from '../../src/storage/cached-sums.ts';
import { type KeysRequest, ORDERS, type Span } from '../../src/storage/contract.ts';
import { MEASURES } from '../../src/storage/measures.ts';
import { SumQueries } from '../../src/storages/sql/queries.ts';
import { dialectOf } from '../../src/storages/sqlite/dialect.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { Random } from '../../src/testing/random.ts';
import { openWriter } from '../../src/testing/support.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 24, 12);
const PAGE = { order: 'hits', search: undefined, limit: 10, offset: 0 } as const;
/** Spans of a range that ends now: the days before the first full month, and the months including the current one. */
const YEAR: Span[] = [
  { period: 'day', from: Date.UTC(2025, 10, 20), to: Date.UTC(2025, 11, 1) - 1 },
  { period: 'month', from: Date.UTC(2025, 11, 1), to: Date.UTC(2026, 11, 1) - 1 },
];
const DAYS: Span[] = [{ period: 'day', from: Date.UTC(2026, 9, 26), to: Date.UTC(2026, 11, 1) - 1 }];
const PAST_HOURS: Span[] = [{ period: 'hour', from: Date.UTC(2026, 10, 1), to: Date.UTC(2026, 10, 2) - 1 }];

const directory = mkdtempSync(join(tmpdir(), 'track-usage-cached-sums-'));
const closing: (() => unknown)[] = [() => rmSync(directory, { recursive: true })];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

/** Opens a database, its cached and uncached sums, and a log of the reads. */
async function openSums(hooks: readonly Summary[], records: readonly TestRecord[]) {
  const path = join(directory, `${closing.length}.db`);
  const storage = new SqliteStorage(path, { hooks });
  const writer = await openWriter(storage);
  const journal = new TestJournal('a', storage.summaries);
  const add = (more: readonly TestRecord[]) => writer.apply(journal.batch(more));
  const change = (rows: readonly DeltaRow[]) => writer.apply(journal.correction(rows));
  await add(records);
  const database = new DatabaseSync(path, { readOnly: true });
  closing.push(
    () => writer.close(),
    () => database.close(),
  );
  const engine = new SumQueries(dialectOf(database));
  const read: string[] = [];
  const { ids, keys, series, texts } = engine;
  engine.ids = (request, ...rest) => {
    const isPast = request.spans[0]!.from < NOW - (NOW % DAY);
    const source = request.less?.length ? 'remainder of a month' : 'past';
    read.push(`ids of ${request.summary}, ${isPast ? source : 'today'}`);
    return ids.call(engine, request, ...rest);
  };
  engine.keys = (request) => {
    // The coverage shows whether anything has changed.
    if (request.summary !== 'coverage') read.push(`keys of ${request.summary}`);
    return keys.call(engine, request);
  };
  engine.series = (request) => {
    read.push(`series of ${request.summary}, ${request.from < NOW - (NOW % DAY) ? 'past' : 'today'}`);
    return series.call(engine, request);
  };
  /** Replaces the texts of IDs. */
  const replace = (textOf: (text: string) => string | undefined) => {
    engine.texts = async (of) => {
      const found = [...(await texts.call(engine, of))].map(([id, text]) => [id, textOf(text)] as const);
      return new Map(found.filter((each): each is [number, string] => each[1] !== undefined));
    };
  };
  const clock = { now: NOW };
  const sums = new CachedSums(
    engine,
    (site) => storage.reader.timeZone(site),
    () => clock.now,
  );
  closing.push(() => storage.close());
  const uncached = new SumQueries(dialectOf(database));
  return {
    add,
    change,
    read,
    replace,
    path,
    writer,
    storage,
    clock,
    sums,
    watched: engine,
    engine: uncached,
  };
}

/** Returns requests with enough distinct URLs to be cached. */
function requests(count: number): TestRecord[] {
  const random = new Random(7);
  return Array.from({ length: count }, (_, i) => ({
    date: NOW - random.below(370) * DAY - random.below(DAY),
    url: `/${i < 2_000 ? i : random.below(2_000)}${random.of(['\u{1F600}', '\uFFFD', 'ä', 'Kk'])}`,
    visitor: random.below(9) === 0 ? null : `v${random.below(1_500)}`,
    status: random.of([200, 404, 500]),
    duration: random.below(5) * 1_000,
    contentLength: random.below(4) * 100,
  }));
}

test('returns the same results as the engine for every order, search and page', async () => {
  const { sums, engine } = await openSums(STANDARD_SUMMARIES, requests(6_000));
  for (const spans of [YEAR, DAYS, PAST_HOURS, [...PAST_HOURS, ...DAYS.slice(1)]]) {
    for (const summary of ['urls', 'visitors', 'status', 'nothing']) {
      const query = { site: 'default', summary, spans };
      for (const order of ORDERS) {
        for (const page of [
          { limit: 10, offset: 0 },
          { limit: 50, offset: 700 },
          { limit: 0, offset: 3 },
        ]) {
          const request: KeysRequest = { ...query, ...page, order, search: undefined };
          expect(await sums.keys(request)).toEqual(await engine.keys(request));
          for (const search of ['V1', 'Ä', '\u212a', '\ud800', '9\u{1F600}']) {
            const searched = { ...request, search };
            expect(await sums.keys(searched)).toEqual(await engine.keys(searched));
          }
        }
      }
      for (const target of [undefined, null, 'v3']) {
        expect(await sums.total({ ...query, target })).toEqual(await engine.total({ ...query, target }));
      }
    }
  }
  for (const period of ['hour', 'day', 'month'] as const) {
    for (const summary of ['visitors', 'server']) {
      for (const from of [NOW - 400 * DAY, NOW - DAY, NOW - (NOW % DAY), NOW + 40 * DAY]) {
        const request = { site: 'default', summary, period, from, to: NOW + 50 * DAY, target: undefined };
        expect(await sums.series(request)).toEqual(await engine.series(request));
      }
    }
  }
});

test('reads past days once, and today on every query', async () => {
  const { add, sums, read, engine } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  const request = { site: 'default', summary: 'urls', spans: DAYS, ...PAGE };
  const series = {
    site: 'default',
    summary: 'urls',
    period: 'day' as const,
    from: NOW - 30 * DAY,
    to: NOW,
    target: undefined,
  };
  await sums.keys({ ...request, spans: YEAR });
  await Promise.all([sums.keys(request), sums.keys(request), sums.series(series)]);
  read.length = 0;
  for (let time = 1; time <= 2; time++) {
    await add([{ date: NOW, url: '/new' }]);
    expect(await sums.keys({ ...request, search: '/new' })).toMatchObject({ rows: [{ hits: time }] });
    expect(await sums.series(series)).toEqual(await engine.series(series));
    await sums.total({ ...request, target: undefined });
  }
  const each = ['ids of urls, today', 'series of urls, today', 'ids of urls, today'];
  expect(read).toEqual([...each, ...each]);
});

/** Spans with most days of a month. */
const days = (from: number, to: number): Span[] => [{ period: 'day', from, to: to - 1 }];
const NEARLY_WHOLE_MONTHS = [
  days(Date.UTC(2026, 10, 1), Date.UTC(2026, 10, 20)),
  days(Date.UTC(2026, 9, 5), Date.UTC(2026, 10, 1)),
  days(Date.UTC(2026, 8, 3), Date.UTC(2026, 9, 28)),
  days(Date.UTC(2026, 7, 3), Date.UTC(2026, 9, 3)),
];
const FEW_DAYS = [
  days(Date.UTC(2026, 10, 1), Date.UTC(2026, 10, 10)),
  days(Date.UTC(2026, 9, 20), Date.UTC(2026, 10, 10)),
];

test('computes most days of a month as the month minus its other days', async () => {
  const futureDates = [NOW + 3 * DAY, NOW + 12 * HOUR, NOW + DAY];
  const { add, sums, read, engine } = await openSums(STANDARD_SUMMARIES, [
    ...requests(20_000),
    ...futureDates.map((date) => ({ date, url: '/ahead' })),
  ]);
  await sums.keys({ site: 'default', summary: 'urls', spans: YEAR, ...PAGE });
  for (const [spans, source] of [
    ...NEARLY_WHOLE_MONTHS.map((span) => [span, 'remainder of a month'] as const),
    ...FEW_DAYS.map((span) => [span, 'past'] as const),
  ]) {
    const request = { site: 'default', summary: 'urls', spans, ...PAGE, limit: 0 };
    read.length = 0;
    expect(await sums.keys(request)).toEqual(await engine.keys(request));
    expect(read).toEqual([`ids of urls, ${source}`]);
    for (const date of [spans[0]!.from, spans[0]!.from - DAY, spans[0]!.to + 1]) {
      await add([{ date, url: '/late', status: 500, duration: 7 }]);
      expect(await sums.keys(request)).toEqual(await engine.keys(request));
      expect(await sums.total({ ...request, target: undefined })).toEqual(
        await engine.total({ ...request, target: undefined }),
      );
    }
  }
});

test('does not read the rest of a month if the queried days are empty', async () => {
  const { add, sums, read, engine } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  await add([{ date: Date.UTC(2024, 4, 31), url: '/first' }]);
  await sums.keys({ site: 'default', summary: 'urls', spans: YEAR, ...PAGE });
  read.length = 0;
  const spans = days(Date.UTC(2024, 4, 1), Date.UTC(2024, 4, 31));
  const request = { site: 'default', summary: 'urls', spans, ...PAGE };
  expect(await sums.keys(request)).toEqual(await engine.keys(request));
  expect(read).toEqual(['ids of urls, past']);
  await add([{ date: Date.UTC(2024, 4, 7), url: '/late' }]);
  expect(await sums.keys(request)).toEqual(await engine.keys(request));
});

test('adds up the existing days of a month whose other days have been deleted', async () => {
  const { path, sums, read, engine } = await openSums(STANDARD_SUMMARIES, requests(20_000));
  await sums.keys({ site: 'default', summary: 'urls', spans: YEAR, ...PAGE });
  read.length = 0;
  const database = new DatabaseSync(path);
  database.exec(`DELETE FROM daily WHERE bucket < ${Date.UTC(2026, 9, 15) / 1000}`);
  database.close();
  for (const spans of NEARLY_WHOLE_MONTHS) {
    const request = { site: 'default', summary: 'urls', spans, ...PAGE };
    expect(await sums.keys(request)).toEqual(await engine.keys(request));
  }
  expect(read).toContain('ids of urls, remainder of a month');
  expect(read).toContain('keys of urls');
});

test('includes late records of past days immediately', async () => {
  const { add, sums, engine } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE };
  await sums.keys(request);
  await add(
    Array.from({ length: 99 }, (_, i) => ({ date: Date.UTC(2026, i % 2 ? 2 : 10, 5), url: '/late' })),
  );
  expect((await sums.keys(request)).rows[0]).toMatchObject({ key: '/late', hits: 99 });
  expect(await sums.keys(request)).toEqual(await engine.keys(request));
});

test.each(['transfer', 'errors', 'duration'])(
  'reads sums again if only the %s of the stored rows changes, as after restoring a backup',
  async (measure) => {
    const { path, sums, engine } = await openSums(STANDARD_SUMMARIES, requests(4_000));
    const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE, limit: 0 };
    const series = { ...request, period: 'day', from: NOW - 300 * DAY, to: NOW, target: undefined } as const;
    await sums.keys(request);
    await sums.series(series);
    const database = new DatabaseSync(path);
    for (const table of ['daily', 'monthly'])
      database.exec(`UPDATE ${table} SET ${measure} = ${measure} + hits`);
    database.close();
    expect(await sums.keys(request)).toEqual(await engine.keys(request));
    expect(await sums.series(series)).toEqual(await engine.series(series));
  },
);

test('caches yesterday on the next day', async () => {
  const { add, clock, sums, engine } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  const request = { site: 'default', summary: 'urls', spans: DAYS, ...PAGE };
  await sums.keys(request);
  clock.now += DAY;
  for (const date of [NOW, clock.now, NOW]) {
    await add(Array.from({ length: 60 }, () => ({ date, url: '/late' })));
    expect(await sums.keys(request)).toEqual(await engine.keys(request));
  }
});

test('includes records of an app with other summaries immediately, and keeps unaffected sums cached', async () => {
  const { storage, sums, read, engine } = await openSums([sumServer, sumUrls], requests(4_000));
  const other = (hooks: Summary[]) =>
    openWriter(new SqliteStorage(storage.label.replace(/^\w+:/, ''), { hooks }));
  const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE };
  const series = { ...request, period: 'day', from: NOW - 300 * DAY, to: NOW, target: undefined } as const;
  for (const hooks of [[sumUrls], [sumServer], []]) {
    const writer = await other(hooks);
    const journal = new TestJournal(`b${hooks[0]?.name}`, hooks);
    for (let i = 0; i < 3; i++) {
      await writer.apply(journal.batch([{ date: Date.UTC(2026, 2, 5), url: '/late' }]));
      expect(await sums.keys(request)).toEqual(await engine.keys(request));
      expect(await sums.series(series)).toEqual(await engine.series(series));
      read.length = 0;
      await sums.keys(request);
      await sums.series(series);
      expect(read).toEqual(['ids of urls, today', 'series of urls, today']);
    }
    await writer.close();
  }
});

test('clears the cache if IDs have other texts, as in a replaced database', async () => {
  const { sums, engine, replace } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE };
  await sums.keys(request);
  replace((text) => `/other${text}`);
  await sums.keys(request);
  const { rows } = await engine.keys(request);
  expect((await sums.keys(request)).rows.map(({ key }) => key)).toEqual(
    rows.map(({ key }) => `/other${key}`),
  );
});

test('queries the engine if a text is deleted after its ID was read, and clears the cache', async () => {
  const { sums, engine, read, replace } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE };
  replace((text) => (text.startsWith('/7') ? undefined : text));
  expect(await sums.keys(request)).toEqual(await engine.keys(request));
  expect(read.at(-1)).toBe('keys of urls');
  replace((text) => text);
  read.length = 0;
  expect(await sums.keys(request)).toEqual(await engine.keys(request));
  expect(read).toContain('ids of urls, past');
});

test('rejects a query that the engine rejects, and succeeds once it answers', async () => {
  const { sums, engine, watched, replace } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE };
  const { keys } = watched;
  watched.keys = async (of) => {
    if (of.summary === 'urls') throw new Error('no connection');
    return keys.call(watched, of);
  };
  replace((text) => (text.startsWith('/7') ? undefined : text));
  await expect(sums.keys(request)).rejects.toThrow('no connection');
  replace((text) => text);
  expect(await sums.keys(request)).toEqual(await engine.keys(request));
});

test('rejects a query if the texts of its keys cannot be read', async () => {
  const { sums, engine, watched, read } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE };
  const { texts } = watched;
  watched.texts = async (ids) => {
    if (ids.length > 1) throw new Error('no connection');
    return texts.call(watched, ids);
  };
  await expect(sums.keys(request)).rejects.toThrow('no connection');
  expect(read).not.toContain('keys of urls');
  watched.texts = texts;
  expect(await sums.keys(request)).toEqual(await engine.keys(request));
});

test('reads cached keys and series again after a change of sums that the coverage does not show', async () => {
  const { sums, engine, read, change } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE, limit: 0 };
  const series = { ...request, period: 'month', from: NOW - 360 * DAY, to: NOW, target: undefined } as const;
  for (let n = 0; n < 2; n++) {
    read.length = 0;
    await sums.keys(request);
    await sums.series(series);
  }
  // Of the series, only the current month is read.
  expect(read).toEqual(['ids of urls, today', 'series of urls, past']);
  const bucket = Date.UTC(2026, 4, 1);
  const of = { summary: 'urls', period: 'month', bucket } as const;
  const found = await engine.keys({ ...request, spans: [{ period: 'month', from: bucket, to: bucket }] });
  const { key, ...moved } = found.rows[0]!;
  const negative = Object.fromEntries(MEASURES.map((name) => [name, -moved[name]])) as typeof moved;
  const nothing = { hits: 0, transfer: 0, errors: 0, duration: 0 };
  await change([
    { ...of, key, ...negative },
    { ...of, key: '/moved', ...moved },
    { ...of, summary: 'changes', key: null, ...nothing, hits: 1 },
  ]);
  const after = await sums.keys(request);
  expect(after).toEqual(await engine.keys(request));
  expect(after.rows.map((row) => row.key)).toContain('/moved');
  expect(await sums.series(series)).toEqual(await engine.series(series));
});

test('reads the time zone again after a change of sums, because it may be another one', async () => {
  const { watched, change } = await openSums([sumUrls], requests(10));
  let reads = 0;
  const zoneOf = async () => {
    reads += 1;
    return 'UTC';
  };
  const sums = new CachedSums(watched, zoneOf, () => NOW);
  const { from, to } = DAYS[0]!;
  const read = () =>
    sums.series({ site: 'default', summary: 'urls', period: 'day', from, to, target: undefined });
  await read();
  await read();
  expect(reads).toBe(1);
  const bucket = Date.UTC(2026, 10, 1);
  const measures = { hits: 1, transfer: 0, errors: 0, duration: 0 };
  await change([{ summary: 'changes', period: 'month', bucket, key: null, ...measures }]);
  await read();
  await read();
  expect(reads).toBe(2);
});

test('looks up keys that are added during another lookup', async () => {
  const { add, sums, watched, engine } = await openSums(STANDARD_SUMMARIES, requests(4_000));
  const request = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE };
  const { texts } = watched;
  const gate = Promise.withResolvers<void>();
  const waiting = Promise.withResolvers<void>();
  watched.texts = async (ids) => {
    const found = await texts.call(watched, ids);
    if (ids.length > 1) {
      waiting.resolve();
      await gate.promise;
    }
    return found;
  };
  const first = sums.keys(request);
  await waiting.promise;
  await add(Array.from({ length: 5 }, (_, i) => ({ date: NOW, url: `/meanwhile/${i}` })));
  await sums.total({ ...request, target: undefined });
  const second = sums.keys({ ...request, search: '/meanwhile' });
  gate.resolve();
  await first;
  expect(await second).toEqual(await engine.keys({ ...request, search: '/meanwhile' }));
});

test('queries the engine for summaries with few keys or very many', async () => {
  const { add, sums, read, engine } = await openSums(STANDARD_SUMMARIES, requests(3_000));
  const status = { site: 'default', summary: 'status', spans: YEAR, ...PAGE };
  await sums.keys(status);
  read.length = 0;
  await sums.keys(status);
  expect(read).toEqual(['keys of status']);
  await add(Array.from({ length: 50_001 }, (_, i) => ({ date: NOW - DAY, url: `/distinct/${i}` })));
  const urls = { site: 'default', summary: 'urls', spans: YEAR, ...PAGE };
  for (let i = 0; i < 2; i++) expect(await sums.keys(urls)).toEqual(await engine.keys(urls));
  read.length = 0;
  expect(await sums.keys(urls)).toEqual(await engine.keys(urls));
  expect(read).toEqual(['keys of urls']);
});
