import { expect, test } from 'vitest';
import { emailReport } from '../../src/report/email.ts';
import { htmlReport } from '../../src/report/html.ts';
import { statsOf, titleOf } from '../../src/report/labels.ts';
import { markdownReport } from '../../src/report/markdown.ts';
import { routeTables } from '../../src/report/routes.ts';
import { defineSummary } from '../../src/summaries/define.ts';
import type { TestRecord } from '../../src/testing/batches.ts';
import { ALL, IMPRINT, NOW, reportOf } from './support.ts';

const FORMATS = [htmlReport, emailReport, markdownReport];
const DAY = 24 * 3_600_000;

/** Requests of a route in October. */
function requests(route: string, count: number, record: TestRecord = {}): TestRecord[] {
  const date = Date.parse('2026-10-10T10:00:00Z');
  return Array.from({ length: count }, () => ({
    route,
    url: `http://shop.example${route}`,
    date,
    ...record,
  }));
}

test('routes are listed by total time, with percentiles, and those that fail by error rate', async () => {
  const records = [
    ...requests('/slow', 10, { duration: 200_000 }),
    ...requests('/fast', 100, { duration: 1_000 }),
    ...requests('/fast', 4, { duration: 1_000, status: 500 }),
    ...requests('/broken', 2, { duration: 1_000, status: 503 }),
  ];
  const report = await reportOf(records);
  const [performance, errors, ...more] = routeTables(report);
  expect(more).toEqual([]);
  expect(performance!.title).toBe('Performance');
  expect(performance!.columns.map(({ label }) => label)).toEqual([
    'Hits',
    'p50',
    'p95',
    'p99',
    'Error rate',
    'Total time',
  ]);
  expect(performance!.rows.map(({ key, cells }) => [key.text, cells[0], cells.at(-1)])).toEqual([
    ['/slow', '10', '95.0%'],
    ['/fast', '104', '4.9%'],
    ['/broken', '2', '<0.1%'],
  ]);
  // Meters are relative to the first row.
  expect(performance!.rows.map(({ meter }) => meter)).toEqual([1, 0.052, 0.001]);
  expect(errors!.title).toBe('Errors');
  expect(errors!.rows.map(({ key, cells }) => [key.text, ...cells])).toEqual([
    ['/broken', '2', '2', '100%'],
    ['/fast', '104', '4', '3.8%'],
  ]);
  for (const format of FORMATS) {
    const text = format(report, IMPRINT);
    expect(text.indexOf('Performance')).toBeGreaterThan(0);
    expect(text.indexOf('Errors', text.indexOf('Performance'))).toBeGreaterThan(0);
  }
  expect(routeTables(await reportOf(requests('/', 1, { duration: 0 })))).toEqual([]);
  expect(routeTables(await reportOf(requests('/', 1), { hooks: ['urls'] }))).toEqual([]);
});

test('visitor IDs and user agents are listed only in a full report', async () => {
  const records = requests('/', 1, { visitor: 'id-of-jane', agent: 'Agent/77' });
  const report = await reportOf(records, { full: false });
  const full = await reportOf(records);
  for (const format of FORMATS) {
    const text = format(report, IMPRINT);
    expect(text).not.toMatch(/id-of-jane|Agent\/77/);
    expect(text).toContain('Not listed: user agents and visitors.');
    expect(format(full, IMPRINT)).toMatch(/id-of-jane/);
    expect(format(full, IMPRINT)).toMatch(/Agent\/77/);
  }
});

test('the title of a site without a name is the host of most requests', async () => {
  const report = await reportOf([
    ...requests('/a', 2),
    ...requests('/b', 2),
    ...requests('/', 3, { url: 'http://evil.example/' }),
    ...requests('/', 1, { url: 'no URL' }),
  ]);
  expect(titleOf(report)).toBe('shop');
  const unnamed = { ...report, site: { ...report.site, site: 'default' } };
  expect(titleOf(unnamed)).toBe('shop.example');
  expect(titleOf({ ...unnamed, top: [] })).toBe('default');
  for (const format of FORMATS) expect(format(unnamed, IMPRINT)).toContain('shop.example');
});

test('a day that has not ended is marked', async () => {
  const records = [{ date: NOW - DAY }, { date: NOW - DAY }, { date: NOW }];
  const report = await reportOf(records, { from: '2026-11-24', to: '2026-11-25', hooks: ['urls'] });
  const days = await reportOf(records, { range: '7d', hooks: ['urls'] });
  expect([report.isUnfinished, days.isUnfinished]).toEqual([true, true]);
  for (const format of FORMATS) expect(format(days, IMPRINT)).toContain('25 November 2026 (so far)');
  expect(htmlReport(days, IMPRINT)).toContain('class="bar open"');
  const ended = await reportOf(records, { from: '2026-11-20', to: '2026-11-24', hooks: ['urls'] });
  expect(ended.isUnfinished).toBe(false);
  for (const format of FORMATS) expect(format(ended, IMPRINT)).not.toContain('so far');
});

test('without visitors, no kind of visitors is stated', async () => {
  const stat = async (records: TestRecord[]) =>
    statsOf(await reportOf(records)).find(({ label }) => label === 'Visitors');
  expect(await stat(requests('/', 1, { visitor: 'v' }))).toMatchObject({ detail: 'distinct cookies' });
  // October is empty; the site is known from another month.
  const empty = await stat([{ date: NOW, visitor: 'v' }]);
  expect(empty).toMatchObject({ value: '0', detail: undefined });
});

test('an email is below 100 kB, has only inline styles, and says how many summaries it leaves out', async () => {
  const own = Array.from({ length: 60 }, (_, n) => defineSummary({ name: `own-${n}`, key: () => null }));
  const records = Array.from({ length: 10 }, (_, n) =>
    requests(`/${n}`, 1, {
      url: `http://shop.example/${n}/${'ü'.repeat(300)}`,
      extra: { keys: Object.fromEntries(own.map(({ name }) => [name, [`${n}${'<'.repeat(200)}`]])) },
    }),
  ).flat();
  const text = emailReport(await reportOf(records, { hooks: [...ALL, ...own] }), IMPRINT);
  expect(Buffer.byteLength(text)).toBeLessThan(100_000);
  expect(Buffer.byteLength(text)).toBeGreaterThan(80_000);
  expect(text).not.toMatch(/<(style|svg|script|img|link)\b|\sclass=/);
  expect(text).toMatch(/\d+ more summaries are in the report without --email\./);
  expect(text).toMatch(/<\/html>\n$/);
  expect(emailReport(await reportOf(records), IMPRINT)).not.toContain('more summaries');
});
