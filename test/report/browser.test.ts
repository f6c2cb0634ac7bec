import http from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emailReport } from '../../src/report/email.ts';
import { htmlReport } from '../../src/report/html.ts';
import type { TestRecord } from '../../src/testing/batches.ts';
import { Random } from '../../src/testing/random.ts';
import { escapeText } from '../../src/text/escape.ts';
import { barriers, fileBrowser } from '../support/browser.ts';
import { closeServer, listen } from '../support/engines.ts';
import { isWanted } from '../support/services.ts';
import { ALL, IMPRINT, NOW, reportOf, sumPlans } from './support.ts';

const HOSTILE = [
  '</style><style>*{display:none!important}</style>',
  '<img src="http://evil.example/a.png" onerror="alert(1)">',
  '</svg><script>document.title = "taken"</script>',
  'javascript:alert(1)',
  '\u202egnp.exe\x1b[31m',
  'x'.repeat(150),
];
const DAY = 24 * 3_600_000;

function visits(): TestRecord[] {
  const random = new Random(1);
  return Array.from({ length: 800 }, () => ({
    ...random.record(),
    date: Date.parse('2026-09-01T00:00:00Z') + random.below(61 * DAY),
    // Few enough that each hostile one is among the ten.
    url: random.of([...HOSTILE, 'https://shop.example/']),
    referrer: random.of([...HOSTILE, null]),
    country: random.of(['DE', 'AT', null, '<b>']),
    bot: random.below(5) === 0,
    extra: { keys: { plans: [random.of(['gold', 'free'])] } },
  }));
}

describe.runIf(isWanted('chromium'))('the report in Chromium', () => {
  const { openPage } = fileBrowser();
  const pages = new Map<string, string>();
  const server = http.createServer((request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(pages.get(request.url ?? ''));
  });
  let url = '';
  beforeAll(async () => {
    const records = visits();
    const all = await reportOf(records, { hooks: [...ALL, sumPlans], timeZone: 'Europe/Berlin' });
    pages.set('/month', htmlReport(all, IMPRINT));
    pages.set('/email', emailReport(all, IMPRINT));
    pages.set('/year', htmlReport(await reportOf(records, { range: '12mo' }), IMPRINT));
    const hour = { range: 'today', hooks: ['urls'] } as const;
    pages.set('/today', htmlReport(await reportOf([{ date: NOW }], hour), IMPRINT));
    pages.set('/empty', htmlReport(await reportOf([]), IMPRINT));
    const { address } = await listen(server);
    url = `http://127.0.0.1:${address.port}`;
  });
  afterAll(() => closeServer(server));

  test.each(['/month', '/email'])(
    '%s sends no requests, runs no script, and shows hostile keys as text',
    async (path) => {
      const requested: string[] = [];
      await using opened = await openPage(`${url}${path}`, {
        before: (page) => page.on('request', (request) => requested.push(request.url())),
      });
      const { page } = opened;
      expect(await page.title()).toBe('shop: usage in October 2026');
      expect(await page.evaluate('document.scripts.length')).toBe(0);
      const keys = await page.locator('main bdi').allTextContents();
      for (const text of HOSTILE) expect(keys).toContain(escapeText(text));
      expect(await page.locator('main').isVisible()).toBe(true);
      expect(opened.elsewhere).toEqual([]);
      expect(opened.complaints).toEqual([]);
      expect(requested.filter((each) => !each.startsWith('data:'))).toEqual([`${url}${path}`]);
    },
  );

  test.each(['/month', '/email', '/empty'])(
    '%s has no accessibility violations in light and dark mode',
    async (path) => {
      for (const colorScheme of ['light', 'dark'] as const) {
        await using opened = await openPage(`${url}${path}`, { colorScheme });
        expect(await barriers(opened.page)).toEqual([]);
        expect(opened.complaints).toEqual([]);
      }
    },
  );

  test.each([
    ['a telephone', 360],
    ['a screen', 1280],
  ])('fits %s', async (_, width) => {
    for (const path of pages.keys()) {
      await using opened = await openPage(`${url}${path}`, { viewport: { width, height: 800 } });
      expect(await opened.page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    }
  });

  test('fits A4 when printed', async () => {
    await using opened = await openPage(`${url}/month`, { viewport: { width: 688, height: 971 } });
    await opened.page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    const widths = await opened.page.$$eval('section table', (tables) =>
      tables.map((table) => table.scrollWidth - table.parentElement!.clientWidth),
    );
    expect(widths.length).toBeGreaterThan(10);
    expect(Math.max(...widths)).toBeLessThanOrEqual(0);
    expect(await opened.page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe(
      'rgb(255, 255, 255)',
    );
  });
});
