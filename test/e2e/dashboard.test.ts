import { beforeAll, describe, expect, test } from 'vitest';
import type { HandlerOptions } from '../../src/server/options.ts';
import { HOSTILE_TEXTS } from '../../src/testing/hostile.ts';
import { TOKEN } from '../server/support.ts';
import { barriers, fileBrowser, type OpenOptions } from '../support/browser.ts';
import { chooseRange, fileSites, hits, panel, query, screenshot, visits } from './support.ts';

const browser = fileBrowser();
const siteWith = fileSites();

describe('a site with many requests', () => {
  let site: Awaited<ReturnType<typeof siteWith>>;
  beforeAll(async () => {
    site = await siteWith(visits(3_000));
  });

  const open = async (search = '', options?: OpenOptions) => {
    const opened = await browser.openPage(site.url + search, {
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    await opened.page.locator('.keys').first().waitFor();
    await opened.page.locator('.records').waitFor();
    return opened;
  };

  test.each([
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['phone', { colorScheme: 'light', viewport: { width: 390, height: 844 } }],
  ] as const)('%s: no accessibility violation, no external request', async (name, options) => {
    await using opened = await open('', options);
    const { page, complaints, elsewhere } = opened;
    await page.waitForFunction('document.querySelectorAll(".panel .keys").length === 7');
    await screenshot(page, name);
    expect(await barriers(page)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    await page.locator('.panel').first().getByRole('button', { name: 'Show all URLs' }).click();
    await page.locator('dialog .wide').waitFor();
    expect(await barriers(page)).toEqual([]);
    await screenshot(page, `${name}-expanded`, false);
    expect({ complaints, elsewhere }).toEqual({ complaints: [], elsewhere: [] });
  });

  test('range, comparison, measure and table are in the URL, and the back button undoes them', async () => {
    await using opened = await open();
    const { page, complaints } = opened;
    for (const [label, name] of [
      ['Last hour', '1h'],
      ['Today', 'today'],
      ['Yesterday', 'yesterday'],
      ['Last month', 'last-month'],
      ['This year', 'year'],
      ['All time', 'all'],
    ] as const) {
      await chooseRange(page, label);
      expect(query(page).get('range')).toBe(name);
    }
    await page.locator('.total[title="3,000"]').waitFor();
    await page.goBack();
    expect(query(page).get('range')).toBe('year');
    await page.locator('.segment.range').click();
    await page.getByLabel('From', { exact: true }).fill('2020-01-01');
    await page.getByLabel('To', { exact: true }).fill('2020-01-31');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await page.getByText('1 Jan – 31 Jan 2020').first().waitFor();
    await page.getByText('No requests in this range.').waitFor();
    await page.goBack();
    for (const [label, name] of [
      ['Previous period, same weekdays', 'weekdays'],
      ['Previous year', 'year'],
      ['No comparison', 'false'],
    ] as const) {
      await page.getByRole('button', { name: 'Compare', exact: true }).click();
      await page.getByRole('button', { name: label, exact: true }).click();
      expect(query(page).get('compare')).toBe(name);
    }
    for (const period of ['Hour', 'Month', 'Day']) {
      await page.getByRole('radio', { name: period, exact: true }).click();
      expect(query(page).get('period')).toBe(period.toLowerCase());
    }
    await page.getByRole('button', { name: 'Previous range' }).click();
    await page.getByRole('button', { name: 'Next range' }).click();
    for (const [label, id] of [
      ['Visitors', 'visitors'],
      ['Transfer', 'transfer'],
      ['Error rate', 'errors'],
      ['Avg. response time', 'average'],
      ['Bots', 'bots'],
    ] as const) {
      await page.locator('.total', { hasText: label }).click();
      expect(query(page).get('measure')).toBe(id);
      await page.getByRole('slider', { name: `${label} over time` }).waitFor();
    }
    await page.getByRole('button', { name: 'Table' }).click();
    await page.locator('.chart-table tbody tr').first().waitFor();
    expect(await barriers(page)).toEqual([]);
    const shared = page.url();
    await page.goto(shared);
    await page.locator('.chart-table tbody tr').first().waitFor();
    expect(complaints).toEqual([]);
  });

  test('the chart can be read with the arrow keys', async () => {
    await using opened = await open('?range=7d');
    const chart = opened.page.getByRole('slider');
    await chart.focus();
    await chart.press('Home');
    await expect.poll(() => chart.getAttribute('aria-valuenow')).toBe('0');
    await chart.press('ArrowRight');
    await expect.poll(() => chart.getAttribute('aria-valuenow')).toBe('1');
    expect(await opened.page.locator('.tooltip').innerText()).toContain('Hits');
    await chart.press('Escape');
    await opened.page.locator('.tooltip').waitFor({ state: 'detached' });
  });

  test('keyboard: shortcuts, their sheet, and few tab stops before the first row', async () => {
    await using opened = await open();
    const { page, complaints } = opened;
    await page.keyboard.press('w');
    expect(query(page).get('range')).toBe('7d');
    await page.keyboard.press('p');
    expect(query(page).get('from')).not.toBeNull();
    await page.goBack();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    expect(await barriers(page)).toEqual([]);
    await screenshot(page, 'shortcuts', false);
    // Keys have no effect on the page behind a dialog, and the setting turns them off.
    await page.keyboard.press('d');
    await page.getByLabel('Use keyboard shortcuts').uncheck();
    await page.keyboard.press('Escape');
    await page.keyboard.press('d');
    expect(query(page).get('range')).toBe('7d');
    await page.reload();
    await page.locator('.keys').first().waitFor();
    let stops = 0;
    const isRow = () => page.evaluate('document.activeElement.classList.contains("key-button")');
    await page.keyboard.press('Tab');
    expect(await page.locator(':focus').innerText()).toBe('Skip to content');
    for (stops = 1; stops < 40 && !(await isRow()); stops++) await page.keyboard.press('Tab');
    expect(stops).toBeLessThanOrEqual(19);
    await page.getByRole('radio', { name: 'Hits' }).press('ArrowRight');
    expect(query(page).get('measure')).toBe('visitors');
    expect(complaints).toEqual([]);
  });

  test('today has a place for each hour, and nothing is drawn for those to come', async () => {
    await using opened = await open('?range=today');
    const chart = opened.page.locator('.plot svg').first();
    expect(['23', '24', '25']).toContain((await chart.getAttribute('viewBox'))!.split(' ')[2]);
    const last = Number(await opened.page.getByRole('slider').getAttribute('aria-valuemax'));
    await opened.page.getByRole('slider').press('End');
    await expect.poll(() => opened.page.locator('.tooltip').innerText()).toContain('so far');
    expect(last).toBeLessThan(25);
    await screenshot(opened.page, 'today', false);
  });

  test('a phone has two rows of controls, and nothing scrolls sideways', async () => {
    await using opened = await open('', { viewport: { width: 390, height: 844 } });
    const { page } = opened;
    const header = await page.locator('.header').boundingBox();
    expect(header!.height).toBeLessThan(110);
    const requests = page.locator('.requests .scroll');
    expect(await requests.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
    await page.locator('.segment.range').click();
    const menu = await page.locator('.ranges .popover').boundingBox();
    expect([menu!.x >= 0, menu!.x + menu!.width <= 390]).toEqual([true, true]);
    await screenshot(page, 'phone-ranges', false);
  });

  test('a row adds a filter, a chip removes it', async () => {
    await using opened = await open();
    const { page, complaints } = opened;
    const all = await hits(page);
    await panel(page, 'Locations').getByRole('button', { name: 'Germany' }).click();
    await expect.poll(() => hits(page)).not.toBe(all);
    await panel(page, 'Browsers').getByRole('radio', { name: 'Bots' }).click();
    await panel(page, 'Browsers').getByRole('button', { name: 'People' }).click();
    expect(query(page).getAll('filter')).toEqual(['geo:DE', 'bots']);
    await panel(page, 'Custom').getByText('are not stored in the records').waitFor();
    // Content that is being reloaded is paler.
    await expect.poll(() => page.locator('.stale').count()).toBe(0);
    expect(await barriers(page)).toEqual([]);
    await screenshot(page, 'filters');
    await page.getByRole('button', { name: 'Remove the filter Countries' }).click();
    expect(query(page).getAll('filter')).toEqual(['bots']);
    await page.getByRole('button', { name: 'Remove the filter Bots' }).click();
    await expect.poll(() => hits(page)).toBe(all);
    await panel(page, 'Custom').getByRole('button', { name: 'gold' }).click({ force: true });
    await panel(page, 'Custom').getByRole('status').getByText('cannot be filtered').waitFor();
    expect(complaints).toEqual([]);
  });

  test('panels can be searched, sorted and paged', async () => {
    await using opened = await open();
    const { page, complaints } = opened;
    const pages = panel(page, 'Pages');
    await pages.getByRole('button', { name: 'Next page' }).click();
    expect(query(page).get('pages.page')).toBe('2');
    await pages.getByRole('button', { name: 'Previous page' }).click();
    await pages.getByRole('combobox').selectOption('transfer');
    await pages.locator('th', { hasText: 'Transfer' }).waitFor();
    await pages.getByRole('searchbox').fill('articles/13?');
    await expect.poll(() => pages.locator('tbody tr').count()).toBe(1);
    expect(query(page).get('pages.search')).toBe('articles/13?');
    await pages.getByRole('radio', { name: 'Routes' }).click();
    await pages.getByRole('button', { name: '/articles/:id' }).waitFor();
    const link = panel(page, 'Sources').getByRole('link');
    expect(await link.getAttribute('rel')).toBe('noreferrer noopener');
    expect(complaints).toEqual([]);
  });

  test('an expanded panel has all measures, trends and downloads', async () => {
    await using opened = await open('?open=pages');
    const { page, complaints } = opened;
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Avg. response time' }).click();
    await expect
      .poll(() => dialog.locator('th[aria-sort="descending"]').innerText())
      .toContain('Avg. response time');
    await dialog.getByRole('button', { name: 'Next page' }).click();
    expect(query(page).get('pages.page')).toBe('2');
    await dialog
      .getByRole('button', { name: /^Trend of/ })
      .first()
      .click();
    await dialog.getByRole('slider').waitFor();
    expect(await barriers(page)).toEqual([]);
    for (const name of ['CSV', 'NDJSON']) {
      const download = page.waitForEvent('download');
      await dialog.getByRole('button', { name: 'Download' }).click();
      await dialog.getByRole('link', { name }).click();
      expect((await download).suggestedFilename()).toMatch(new RegExp(`\\.${name.toLowerCase()}$`));
    }
    await dialog.getByRole('button', { name: 'Close' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.goBack();
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    expect(complaints).toEqual([]);
  });

  test.each([
    ['light', { colorScheme: 'light' }],
    ['phone', { colorScheme: 'light', viewport: { width: 390, height: 844 } }],
  ] as const)('%s: an expanded panel of routes has percentiles of durations', async (name, options) => {
    await using opened = await open('?open=pages&pages.tab=routes', options);
    const { page, complaints } = opened;
    const dialog = page.getByRole('dialog');
    await dialog.getByText('p95', { exact: true }).waitFor();
    const durations = dialog.locator('tbody tr').first().locator('td[title$=" ms"]');
    // Those of the total time and of the average, too.
    expect((await durations.allInnerTexts()).map((text) => /^[\d.,]+\s(µs|ms|s|min|h)$/.test(text))).toEqual(
      Array.from({ length: 5 }, () => true),
    );
    expect(await barriers(page)).toEqual([]);
    await screenshot(page, `${name}-latency`, false);
    expect(complaints).toEqual([]);
  });

  test('requests: older ones, and no requests', async () => {
    await using opened = await open();
    const { page } = opened;
    await page.getByRole('button', { name: 'Load older' }).click();
    await expect.poll(() => page.locator('.records tbody tr').count()).toBe(50);
    await page.getByRole('button', { name: 'Latest requests' }).click();
    await page.locator('.records').waitFor({ state: 'detached' });
    expect(query(page).get('requests')).toBe('false');
  });

  test('the theme is remembered', async () => {
    await using opened = await open('', { colorScheme: 'light' });
    const { page } = opened;
    const theme = () => page.evaluate('document.documentElement.dataset.theme');
    for (const expected of ['light', 'dark']) {
      await page.getByRole('button', { name: /^Theme/ }).click();
      expect(await theme()).toBe(expected);
    }
    await page.reload();
    expect(await theme()).toBe('dark');
    expect(await page.evaluate('getComputedStyle(document.documentElement).colorScheme')).toBe('dark');
  });

  test('new data is shown, unless updates are paused', async () => {
    await using opened = await open('?range=all');
    const { page } = opened;
    const badge = page.getByRole('button', { name: 'Live' });
    await badge.waitFor();
    await page.waitForTimeout(1_500);
    const before = Number((await hits(page))!.replace(',', ''));
    await site.store(visits(5));
    await expect.poll(() => hits(page), { timeout: 10_000 }).toBe((before + 5).toLocaleString('en'));
    await badge.click();
    await page.getByRole('button', { name: 'Paused' }).waitFor();
    await page.getByRole('button', { name: 'Data complete' }).click();
    await page.getByText('each is stored or will be stored shortly').waitFor();
    expect(await barriers(page)).toEqual([]);
  });

  test('a failed query shows an error, and is retried', async () => {
    await using opened = await open();
    const { page } = opened;
    // The result of one query is an error, in a response that has those of all lists.
    await page.route(/\/batch\?/, async (route) => {
      const response = await route.fetch();
      const refused = (line: string) =>
        JSON.stringify({
          ...JSON.parse(line),
          status: 422,
          body: { detail: 'Too large.', code: 'QUERY_TOO_LARGE' },
        });
      const body = (await response.text()).replace(/^.*"summary":"geo".*$/m, refused);
      await route.fulfill({ response, body });
    });
    await chooseRange(page, 'Last 7 days');
    await panel(page, 'Locations').getByRole('button', { name: 'Try again' }).waitFor();
    await screenshot(page, 'error');
    expect(await barriers(page)).toEqual([]);
    expect(await page.locator('.problem').count()).toBe(1);
    await page.unroute(/\/batch\?/);
    await panel(page, 'Locations').getByRole('button', { name: 'Try again' }).click();
    await panel(page, 'Locations').getByRole('button', { name: 'Germany' }).waitFor();
  });
});

test('during an outage, the page keeps its data below one message, and continues by itself', async () => {
  const site = await siteWith(visits(300));
  await using opened = await browser.openPage(site.url);
  const { page } = opened;
  await page.locator('.records').waitFor();
  await page.getByRole('button', { name: 'Live' }).waitFor();
  const all = await hits(page);
  const requests: string[] = [];
  page.on('request', (request) => requests.push(new URL(request.url()).pathname.split('/').at(-1)!));
  site.fail('/', 503);
  await chooseRange(page, 'Last 90 days');
  await page.getByRole('alert').getByText('The page shows the data of').waitFor();
  expect(await page.locator('.problem').count()).toBe(0);
  expect(await hits(page)).toBe(all);
  await screenshot(page, 'outage', false);
  site.fail('');
  await page.getByRole('button', { name: 'Retry now' }).click();
  await page.getByRole('alert').waitFor({ state: 'detached' });
  await expect.poll(() => hits(page)).not.toBe(all);
  await page.locator('.keys').nth(6).waitFor();
  // One request for all lists, at each attempt.
  expect(new Set(requests.filter((path) => path !== 'live' && !path.endsWith('.svg')))).toEqual(
    new Set(['batch']),
  );
});

test('without data, the page says what to do', async () => {
  const site = await siteWith([]);
  await using opened = await browser.openPage(site.url);
  const { page, complaints } = opened;
  await page.getByRole('heading', { name: 'No data yet' }).waitFor();
  expect(await barriers(page)).toEqual([]);
  await screenshot(page, 'empty');
  await page.waitForTimeout(1_500);
  await site.store(visits(3));
  await page.locator('.total[title="3"]').waitFor({ timeout: 10_000 });
  expect(complaints).toEqual([]);
});

test('hostile texts are escaped', async () => {
  const texts = [...HOSTILE_TEXTS, '<img src=x onerror=alert(1)>', 'javascript:alert(1)', 'x'.repeat(5_000)];
  const site = await siteWith(
    texts.map((text) => ({
      date: Date.now(),
      url: `http://shop.example/${text}`,
      referrer: text,
      agent: text,
      browser: text,
      remoteAddr: text,
      language: text,
      route: text,
      visitor: text,
      serverName: text,
      country: text,
      extra: { keys: { plans: [text] } },
    })),
  );
  await using opened = await browser.openPage(`${site.url}?open=sources`);
  const { page, complaints, elsewhere } = opened;
  await page.locator('dialog .wide').waitFor();
  await page.waitForFunction('document.querySelectorAll(".panel .keys").length === 7');
  expect(await page.locator('img, script:not([src]), a[href^="javascript"]').count()).toBe(0);
  expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
  expect(await barriers(page)).toEqual([]);
  await screenshot(page, 'hostile', false);
  expect({ complaints, elsewhere }).toEqual({ complaints: [], elsewhere: [] });
});

test('a visitor without a token signs in', async () => {
  const site = await siteWith(visits(10), { handler: { token: TOKEN } });
  await using opened = await browser.openPage(site.url);
  const { page } = opened;
  const token = page.getByLabel('Token');
  await token.fill('not-the-token-at-all');
  expect(await barriers(page)).toEqual([]);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Wrong token.').waitFor();
  for (let i = 0; i < 5; i++) {
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Sign in', disabled: false }).waitFor();
  }
  await page.getByText(/Too many attempts/).waitFor();
  const other = await siteWith(visits(10), { handler: { token: TOKEN } });
  await page.goto(other.url);
  await page.getByLabel('Token').fill(TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.total[title="10"]').waitFor();
});

describe('retention, key budgets and bots', () => {
  const DAY = 86_400_000;
  const today = Math.floor(Date.now() / DAY) * DAY;
  let site: Awaited<ReturnType<typeof siteWith>>;
  beforeAll(async () => {
    const before = today - 10 * DAY;
    site = await siteWith(visits(3_000), {
      timeZone: 'UTC',
      maxKeys: 20,
      retention: { records: { keep: '10d', before }, hour: { keep: '10d', before } },
    });
  });

  test.each([
    ['light', { colorScheme: 'light', viewport: { width: 1440, height: 900 } }],
    ['dark', { colorScheme: 'dark', viewport: { width: 1440, height: 900 } }],
    ['phone', { colorScheme: 'light', viewport: { width: 390, height: 844 } }],
    ['phone-dark', { colorScheme: 'dark', viewport: { width: 390, height: 844 } }],
  ] as const)('%s: the page says what it does not show', async (name, options) => {
    await using opened = await browser.openPage(`${site.url}?range=30d`, options);
    const { page, complaints } = opened;
    const pages = panel(page, 'Pages');
    await pages.getByText('(over key budget)', { exact: true }).waitFor();
    await pages.getByText('There are more URLs than the key budget allows.').waitFor();
    const all = Number((await hits(page))!.replace(',', ''));
    await screenshot(page, `limits-${name}`);
    const numbers = [];
    for (const label of ['People', 'Bots']) {
      await page.locator('.tools').getByRole('radio', { name: label, exact: true }).click();
      await expect.poll(() => page.locator('.stale').count()).toBe(0);
      numbers.push(Number((await hits(page))!.replace(',', '')));
      await pages.getByText('are no longer stored and not included.').waitFor();
    }
    expect(query(page).get('bots')).toBe('only');
    expect(numbers.every((number) => number > 0)).toBe(true);
    expect(numbers[0]! + numbers[1]!).toBe(all);
    await panel(page, 'Custom').getByText('are not stored in the records').waitFor();
    await screenshot(page, `bots-${name}`);
    await page.getByRole('button', { name: 'Needs attention' }).click();
    await page.getByText('Requests are kept for 10 days, currently since').waitFor();
    await page.getByText('memory reached the key budget of urls').waitFor();
    await screenshot(page, `health-${name}`, false);
    expect(await barriers(page)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(complaints).toEqual([]);
  });
});

test('yesterday can be verified, unless the dashboard is public', async () => {
  const openHealth = async (handler: HandlerOptions) => {
    const site = await siteWith(visits(200), { handler });
    const opened = await browser.openPage(site.url);
    await opened.page.getByRole('button', { name: 'Data complete' }).click();
    return opened;
  };
  await using open = await openHealth({ public: true });
  await open.page.getByText('requests of this process').waitFor();
  expect(await open.page.getByRole('button', { name: 'Verify yesterday' }).count()).toBe(0);
  await using opened = await openHealth({ authorize: () => true });
  await opened.page.getByRole('button', { name: 'Verify yesterday' }).click();
  await opened.page.getByText(/no differences in \d+ buckets of summaries/).waitFor();
  expect(await barriers(opened.page)).toEqual([]);
  await screenshot(opened.page, 'verified', false);
  expect(opened.complaints).toEqual([]);
});
