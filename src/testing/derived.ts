import { deepStrictEqual as equal } from 'node:assert';
import { STANDARD_SUMMARIES } from '../summaries/standard.ts';
import { NOON, type TestRecord } from './batches.ts';
import type { Subject, TestCase } from './subject.ts';
import { besideMemory } from './support.ts';

const HOUR = 3_600_000;
const COLUMNS = ['path', 'referrer_host', 'campaign', 'device', 'class', 'received'] as const;
const AGENT = { agent: 'An Agent/1', browser: 'Agent' };

/** Records with values in the columns that are derived from others, and without. */
const RECORDS: readonly TestRecord[] = [
  { ...AGENT, url: '/a?b', path: '/a', referrerHost: 'example.org', device: 'mobile', class: 'page' },
  { ...AGENT, url: '/a', path: '/a', campaign: 'mail / - / spring', class: 'api', received: 0 },
  { ...AGENT, url: '/b.css', path: '/b.css', device: 'mobile', class: 'asset', received: 2 ** 40 },
  { url: '/c', path: '/c', status: 404, referrerHost: '(internal)' },
  { url: '/c?d', urlKey: '/a', path: '/c', status: 404 },
  // A record of an earlier release.
  { url: '/a' },
].map((record, n) => ({ ...record, date: NOON + n }));

/** Columns that are derived from others, and the summaries of them. */
export function derivedCases(subject: Subject): TestCase[] {
  const summaries = STANDARD_SUMMARIES.filter(({ column }) => column !== 'visitor');
  return [
    {
      name: 'derived columns: a scan returns them as stored, and a recount of each summary finds its keys',
      run: () =>
        besideMemory(subject, summaries, async ({ apply, readers }) => {
          await apply(RECORDS);
          for (const reader of readers) {
            const { records } = await reader.scan({ site: 'default', after: undefined, limit: 100 });
            equal(
              records.map((row) => COLUMNS.map((column) => row[column])),
              RECORDS.map(({ path, referrerHost, campaign, device, class: found, received }): unknown[] =>
                [path, referrerHost, campaign, device, found, received].map((value) => value ?? null),
              ),
            );
            const from = NOON - (NOON % HOUR);
            const bucket = { period: 'hour', from, to: from + HOUR - 1 } as const;
            for (const summary of summaries) {
              const recount = await reader.recount({ site: 'default', summary, ...bucket });
              equal(recount.counted, recount.stored, summary.name);
              equal(recount.records, RECORDS.length);
            }
          }
        }),
    },
  ];
}
