import type { Locator } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { barriers, fileBrowser, type OpenOptions } from '../support/browser.ts';
import { realLog } from '../support/real-log.ts';
import { fileSites, hits, panel, query, screenshot } from './support.ts';

const RANGE = '?from=2015-05-17&to=2015-05-20';
const browser = fileBrowser();
const siteWith = fileSites();

/** The figures that stand here were counted without this project: see `support/data/README.md`. */
describe('requests of a real log', () => {
  let site: Awaited<ReturnType<typeof siteWith>>;
  beforeAll(async () => {
    site = await siteWith(realLog(), { sqlite: true, timeZone: 'UTC' });
  });

  const open = async (search = RANGE, options?: OpenOptions) => {
    const opened = await browser.openPage(site.url + search, {
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    await opened.page.locator('.keys').nth(5).waitFor();
    await opened.page.locator('.records').waitFor();
    return opened;
  };

  test.each([
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['phone', { colorScheme: 'light', viewport: { width: 390, height: 844 } }],
  ] as const)('%s: all totals, and no accessibility violation', async (name, options) => {
    await using opened = await open(RANGE, options);
    const { page, complaints, elsewhere } = opened;
    const total = (label: string) => page.locator('.total', { hasText: label }).getAttribute('title');
    expect(await total('Hits')).toBe('9,999');
    expect(await total('Transfer')).toContain('2,747,282,505');
    expect(await total('Error rate')).toBe('0.03%');
    expect(await barriers(page)).toEqual([]);
    await screenshot(page, `log-${name}`);
    expect({ complaints, elsewhere }).toEqual({ complaints: [], elsewhere: [] });
  });

  test('printed: light, without controls, not cut off', async () => {
    await using opened = await open(RANGE, { colorScheme: 'dark', viewport: { width: 760, height: 1000 } });
    const { page } = opened;
    await page.emulateMedia({ media: 'print' });
    expect(await page.evaluate('getComputedStyle(document.querySelector(".card")).backgroundColor')).toBe(
      'rgb(255, 255, 255)',
    );
    expect(await page.locator('.ranges, .panel-foot, .older').filter({ visible: true }).count()).toBe(0);
    // The chart has the colors of paper, and fits it, although the theme is dark and the window was wider.
    await page.evaluate('document.documentElement.dataset.theme = "dark"');
    await page.setViewportSize({ width: 720, height: 1000 });
    const chart = page.locator('.plot svg').first();
    expect(await chart.evaluate((element) => element.getBoundingClientRect().right < 720)).toBe(true);
    await page.setViewportSize({ width: 760, height: 1000 });
    const fill =
      '[getComputedStyle(document.querySelector(".plot .bars")).fill, getComputedStyle(document.body).color]';
    expect(await page.evaluate(fill)).toEqual(['rgb(134, 141, 230)', 'rgb(28, 29, 38)']);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    const table = page.locator('.requests .scroll');
    expect(await table.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
    await screenshot(page, 'log-print');
  });

  test('the chart by day and by hour', async () => {
    await using opened = await open(`${RANGE}&period=day&table=true`);
    const { page } = opened;
    const rows = page.locator('.chart-table tbody tr');
    await rows.nth(3).waitFor();
    const days = await Promise.all((await rows.all()).map((row) => row.innerText()));
    expect(days.map((day) => /\t([\d,]+)/.exec(day)?.[1])).toEqual(['2,578', '2,896', '2,893', '1,632']);
  });

  test('the keys of the panels', async () => {
    await using opened = await open();
    const { page } = opened;
    const counts = (rows: Locator) =>
      rows.evaluateAll((all) =>
        (all as unknown as Row[]).map((row) => `${row.cells[0]!.innerText} ${row.cells[1]!.title}`),
      );
    const top = async (name: string) => {
      const rows = panel(page, name).locator('tbody tr');
      return (await counts(rows)).map((text) => text.replace(/\s+/g, ' ').trim());
    };
    const size = (name: string) => panel(page, name).locator('.pager span').first().innerText();
    expect((await top('Pages')).slice(0, 3)).toEqual([
      '/favicon.ico 807',
      '/style2.css 546',
      '/reset.css 538',
    ]);
    expect(await size('Pages')).toBe('1–8 of 1,498');
    expect(await size('IP addresses')).toBe('1–8 of 1,753');
    await panel(page, 'Browsers').getByRole('radio', { name: 'User agents' }).click();
    await expect.poll(() => size('Browsers')).toBe('1–8 of 558');
    expect((await top('Responses')).map((row) => row.replace(/ .* /, ' '))).toEqual([
      '200 9,125',
      '304 445',
      '404 213',
      '301 164',
      '206 45',
      '500 3',
      '403 2',
      '416 2',
    ]);
    await panel(page, 'Responses').getByRole('button', { name: /^404/ }).click();
    await expect.poll(() => hits(page)).toBe('213');
    expect(query(page).getAll('filter')).toEqual(['status:404']);
    await page.getByRole('button', { name: 'Remove the filter Status' }).click();
    await panel(page, 'Pages').getByRole('searchbox').fill('favicon');
    await expect.poll(() => top('Pages')).toEqual(['/favicon.ico 807', '//favicon.ico 1']);
  });
});

/** Properties of a row that are read in the page. */
interface Row {
  cells: { innerText: string; title: string }[];
}
