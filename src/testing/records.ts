import { deepStrictEqual as equal } from 'node:assert';
import type { RecordRow } from '../storage/record-row.ts';
import { sumBots, sumBrowsers } from '../summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from './batches.ts';
import { HOSTILE_TEXTS } from './hostile.ts';
import { SMALL } from './query-client.ts';
import type { Subject, TestCase } from './subject.ts';
import { at, openWriter, rows, usage } from './support.ts';

/** Different results of parsing one user agent, as by different releases. */
const READINGS = [
  { browser: 'Firefox', version: '1', platform: 'Linux', device: 'desktop', bot: false },
  { browser: 'Firefox', version: '1', platform: 'Linux', device: 'tablet', bot: false },
  { browser: 'Firefox', version: '2', platform: 'Linux', device: null, bot: false },
  { browser: 'Firefox', version: '2', platform: null, device: 'bot', bot: true },
  { browser: 'Chrome', version: null, platform: 'Linux', device: null, bot: false },
  { browser: null, version: null, platform: null, device: null, bot: true },
] as const;

/** Records: read as stored, in order. */
export function recordCases(subject: Subject): TestCase[] {
  return [
    {
      name: 'records: every field is read as it was written',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          const writer = location.keep(await openWriter(storage, { site: 'shop' }));
          const full: TestRecord = {
            date: NOON + 0.25,
            duration: 123_456_789,
            contentLength: 2 ** 40,
            received: 2 ** 41,
            status: 503,
            authorization: true,
            bot: true,
            serverName: 'web-1',
            method: 'POST',
            url: 'https://example.com/a/b?x=1&y=%20&x=2',
            route: '/a/:id',
            protocol: 'HTTP/2.0',
            remoteAddr: '2001:db8::1',
            forwardedFor: '2001:db8::1, 10.0.0.1',
            agent: 'Mozilla/5.0',
            browser: 'Firefox',
            version: '128.0',
            platform: 'Linux',
            device: 'desktop',
            language: 'de-AT',
            referrer: 'https://example.org/?q=ü',
            path: '/a/b',
            referrerHost: 'example.org',
            campaign: 'ü / mail',
            class: 'api',
            username: 'jane',
            visitor: 'v1',
            country: 'AT',
            blueprint: '/a',
            extra: {
              routeParams: { id: 'b' },
              vars: { plan: 'gold', n: 1.5, deep: { list: [1, null, true] }, 'a.b': '$x' },
              geo: { city: 'Wien', latitude: 48.2 },
            },
          };
          await writer.apply(new TestJournal('a', [], 'UTC', 'shop').batch([full, { date: NOON + 1 }]));
          const client = await location.openClient(storage);
          const [empty, read, ...more] = await usage(client, { site: 'shop' });
          equal(more, []);
          equal(structuredClone(read), {
            date: NOON,
            site: 'shop',
            serverName: 'web-1',
            method: 'POST',
            url: 'https://example.com/a/b?x=1&y=%20&x=2',
            path: '/a/b',
            query: { x: ['1', '2'], y: ' ' },
            route: '/a/:id',
            routeParams: { id: 'b' },
            protocol: 'HTTP/2.0',
            status: 503,
            class: 'api',
            contentLength: 2 ** 40,
            received: 2 ** 41,
            duration: 123_456_789,
            remoteAddr: '2001:db8::1',
            forwardedFor: '2001:db8::1, 10.0.0.1',
            userAgent: {
              ...{ string: 'Mozilla/5.0', browser: 'Firefox', version: '128.0', platform: 'Linux' },
              device: 'desktop',
            },
            language: 'de-AT',
            referrer: 'https://example.org/?q=ü',
            referrerHost: 'example.org',
            campaign: 'ü / mail',
            username: 'jane',
            authorization: true,
            visitor: 'v1',
            country: 'AT',
            geo: { city: 'Wien', latitude: 48.2 },
            bot: true,
            vars: { plan: 'gold', n: 1.5, deep: { list: [1, null, true] }, 'a.b': '$x' },
            blueprint: '/a',
          });
          equal(empty, {
            date: NOON + 1,
            site: 'shop',
            serverName: 'shop',
            method: 'GET',
            url: 'http://localhost/',
            path: '/',
            query: null,
            route: null,
            routeParams: null,
            protocol: 'HTTP/1.1',
            status: 200,
            class: null,
            contentLength: 5,
            received: null,
            duration: 1_500,
            remoteAddr: null,
            forwardedFor: null,
            userAgent: null,
            language: null,
            referrer: null,
            referrerHost: null,
            campaign: null,
            username: null,
            authorization: false,
            visitor: null,
            country: null,
            geo: null,
            bot: false,
            vars: null,
            blueprint: null,
          });
        }),
    },
    {
      name: 'records: newest first, and in the order of the journal within a millisecond',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', []);
          const dates = [5, 1, 3, 3, 3, 2, 3];
          const url = (n: number) => `http://localhost/${n}`;
          await writer.apply(
            journal.batch(dates.slice(0, 4).map((ms, n) => ({ date: NOON + ms, url: url(n) }))),
          );
          await writer.apply(
            journal.batch(dates.slice(4).map((ms, n) => ({ date: NOON + ms, url: url(n + 4) }))),
          );
          const order = [0, 6, 4, 3, 2, 5, 1];
          const client = await location.openClient(storage, SMALL);
          const all = await usage(client);
          equal(
            all.map((record) => record.url),
            order.map(url),
          );
          const page = async (limit: number, number: number, range = {}) =>
            (await client.usage({ limit, page: number, ...range })).map((record) => record.url);
          equal(await page(3, 1), order.slice(0, 3).map(url));
          equal(await page(3, 2), order.slice(3, 6).map(url));
          equal(await page(3, 3), order.slice(6).map(url));
          equal(await page(3, 4), []);
          equal(await page(0, 1), order.map(url));
          // Both ends belong to the range.
          equal(await page(0, 1, { from: NOON + 2, to: NOON + 3 }), [6, 4, 3, 2, 5].map(url));
          equal(await page(2, 2, { from: NOON + 2, to: NOON + 3 }), [3, 2].map(url));
          equal(await page(0, 1, { from: NOON + 6 }), []);
        }),
    },
    {
      name: 'records: a record keeps how its user agent was parsed, whatever a later release parses',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([sumBrowsers, sumBots]);
          const writer = location.keep(await openWriter(storage));
          const journal = new TestJournal('a', storage.summaries);
          // In one batch and in several, as if two releases ran at the same time.
          for (const readings of [READINGS.slice(0, 2), READINGS.slice(2), READINGS]) {
            await writer.apply(
              journal.batch(readings.map((reading) => ({ agent: 'An Agent/1', ...reading }))),
            );
          }
          const expected = [READINGS.slice(0, 2), READINGS.slice(2), READINGS].flat().reverse();
          const client = await location.openClient(storage);
          const records = await usage(client);
          equal(
            records.map(({ userAgent, bot }) => ({ ...userAgent, bot })),
            expected.map((reading) => ({ string: 'An Agent/1', ...reading })),
          );
          equal(
            (await rows(client, 'browsers')).map(([key, hits]) => [key, hits]),
            [
              ['Firefox', 8],
              ['Chrome', 2],
              [null, 2],
            ],
          );
          equal(
            (await rows(client, 'bots')).map(([key, hits]) => [key, hits]),
            [
              [null, 8],
              ['An Agent/1', 2],
              ['Firefox', 2],
            ],
          );
        }),
    },
    {
      name: 'records: journals may hold the same instant',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          const writer = location.keep(await openWriter(storage));
          for (const id of ['a', 'b', 'c']) {
            await writer.apply(new TestJournal(id, []).batch([{ agent: id }, { agent: id }]));
          }
          const agents = (await usage(await location.openClient(storage, SMALL))).map(
            ({ userAgent }) => userAgent?.string,
          );
          equal(agents.sort(), ['a', 'a', 'b', 'b', 'c', 'c']);
        }),
    },
    {
      name: 'records: sites in one database are separate',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage(['urls']);
          for (const [site, timeZone] of [
            ['a', 'UTC'],
            ['b', 'Europe/Berlin'],
            ["c'; --", 'UTC'],
          ] as const) {
            const writer = location.keep(await openWriter(storage, { site, timeZone }));
            const [urls] = storage.summaries;
            await writer.apply(
              new TestJournal(`5${site.charCodeAt(0)}`, [urls!], timeZone, site).batch([{ url: site }]),
            );
          }
          const client = await location.openClient(storage);
          for (const site of ['a', 'b', "c'; --"]) {
            equal(
              (await usage(client, { site })).map(({ url }) => url),
              [site],
            );
            equal(await rows(client, 'urls', 'month', { site }), [[site, 1, 5, 0, 1_500]]);
            equal((await client.top('urls', { site })).total.hits, 1);
            equal((await client.totals({ site })).totals.hits, 1);
          }
          const [day] = await client.sums('urls', { site: 'b', period: 'day' });
          equal(day?.date, '2026-11-24T00:00:00+01:00');
          equal(await usage(client, { site: 'd' }), []);
        }),
    },
    {
      name: 'records: a scan returns each once, oldest first, with all that was stored',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          const writer = location.keep(await openWriter(storage));
          const other = location.keep(await openWriter(storage, { site: 'other' }));
          await other.apply(new TestJournal('f', [], 'UTC', 'other').batch([{}, {}]));
          const records = Array.from({ length: 25 }, (_, n) => ({
            // Several in each millisecond, and out of order.
            date: NOON + ((n * 7) % 10),
            url: `http://localhost/${n}`,
            extra: { vars: { n }, keys: { plans: ['gold', `${n}`] } },
          }));
          const journals = ['a', 'b'].map((id) => new TestJournal(id, []));
          for (const [n, record] of records.entries()) {
            await writer.apply(journals[n % 2]!.batch([record]));
          }
          // Only copies and recounts scan. They rely on the contract of readers: rows as stored, in pages of any size.
          for (const limit of [1, 4, 25, 100]) {
            const found: RecordRow[] = [];
            let after: string | undefined;
            do {
              const piece = await storage.reader.scan({ site: 'default', after, limit });
              found.push(...piece.records);
              after = piece.next;
            } while (after !== undefined);
            const dates = found.map(({ ms }) => ms);
            equal(
              dates,
              [...dates].sort((a, b) => a - b),
            );
            const byUrl = (rows: readonly { url: string }[]) => rows.map(({ url }) => url).sort();
            equal(byUrl(found), byUrl(records));
            for (const row of found) {
              const n = Number(row.url.split('/').at(-1));
              equal(JSON.parse(row.extra ?? ''), records[n]!.extra);
              equal(
                [row.ms, row.site, row.status, row.authorization, row.route],
                [records[n]!.date, 'default', 200, 0, null],
              );
            }
          }
          for (const [from, to] of [
            [NOON + 3, NOON + 6],
            [NOON + 3, undefined],
            [undefined, NOON + 6],
            [NOON + 6, NOON + 3],
          ] as const) {
            const found: number[] = [];
            let after: string | undefined;
            do {
              const piece = await storage.reader.scan({ site: 'default', from, to, after, limit: 4 });
              found.push(...piece.records.map(({ ms }) => ms));
              after = piece.next;
            } while (after !== undefined);
            const dates = records.map(({ date }) => date).sort((a, b) => a - b);
            equal(
              found,
              dates.filter((date) => date >= (from ?? date) && date <= (to ?? date)),
            );
          }
          equal(await storage.reader.scan({ site: 'nobody', after: undefined, limit: 5 }), {
            records: [],
            next: undefined,
          });
        }),
    },
    {
      name: 'records: hostile text is read as it was written',
      run: () =>
        at(subject, async (location) => {
          const storage = location.storage([]);
          const writer = location.keep(await openWriter(storage));
          // JSON.parse of Node 24 and 26 takes a key that ends with a quotation mark for one that it read before and
          // that ends with a backslash instead.
          const varsOf = (text: string) => (text.endsWith('"') ? { text } : { text, [text]: 1 });
          const records = HOSTILE_TEXTS.map((text, n) => ({
            date: NOON - n,
            url: text,
            route: text,
            agent: text,
            referrer: text,
            username: text,
            visitor: text.slice(0, 64),
            extra: { vars: varsOf(text) },
          }));
          await writer.apply(new TestJournal('a', []).batch(records));
          const read = await usage(await location.openClient(storage, SMALL));
          for (const [n, text] of HOSTILE_TEXTS.entries()) {
            const { url, route, userAgent, referrer, username, visitor, vars } = read[n]!;
            equal(
              { url, route, agent: userAgent?.string, referrer, username, visitor, vars },
              {
                url: text,
                route: text,
                agent: text,
                referrer: text,
                username: text,
                visitor: text.slice(0, 64),
                vars: JSON.parse(JSON.stringify(varsOf(text))),
              },
            );
          }
        }),
    },
  ];
}
