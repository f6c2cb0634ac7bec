import { beforeAll, describe, expect, test } from 'vitest';
import type { TestRecord } from '../../src/testing/batches.ts';
import { barriers, fileBrowser } from '../support/browser.ts';
import { fileSites, panel, query, screenshot } from './support.ts';

const KEYS = 100_000;
const browser = fileBrowser();
const siteWith = fileSites();

describe('100,000 keys in most of the panels', () => {
  let site: Awaited<ReturnType<typeof siteWith>>;
  beforeAll(async () => {
    site = await siteWith(scattered(), { sqlite: true });
  });

  test.each(['light', 'dark'] as const)('%s: the page is as short as with few keys', async (colorScheme) => {
    await using opened = await browser.openPage(`${site.url}?range=30d`, {
      viewport: { width: 1280, height: 900 },
      colorScheme,
    });
    const { page, complaints } = opened;
    await page.locator('.keys').nth(5).waitFor();
    await page.locator('.records').waitFor();
    expect(await panel(page, 'Pages').locator('.pager span').first().innerText()).toBe('1–8 of 100,000');
    expect(await panel(page, 'Pages').locator('tfoot th').innerText()).toBe('99,992 others');
    expect(await page.locator('*').count()).toBeLessThan(2_500);
    expect(await barriers(page)).toEqual([]);
    await screenshot(page, `many-${colorScheme}`);
    expect(complaints).toEqual([]);
  });

  test('the last page, and the search for one key', async () => {
    await using opened = await browser.openPage(`${site.url}?range=30d&open=pages&pages.page=2000`);
    const { page, complaints } = opened;
    const dialog = page.getByRole('dialog');
    await dialog.getByText('99,951–100,000').waitFor();
    await dialog.getByRole('button', { name: 'Next page', disabled: true }).waitFor();
    await screenshot(page, 'many-expanded', false);
    await dialog.getByRole('searchbox').fill('/things/77777');
    await expect.poll(() => dialog.locator('tbody tr').count(), { timeout: 10_000 }).toBe(1);
    expect(query(page).get('pages.search')).toBe('/things/77777');
    expect(query(page).get('pages.page')).toBe(null);
    expect(complaints).toEqual([]);
  });
});

/** Returns one request per key, and more for a few keys. */
function scattered(): TestRecord[] {
  const now = Date.now();
  return Array.from({ length: KEYS + 10_000 }, (_, n) => {
    const i = n < KEYS ? n : Math.floor((n - KEYS) ** 2 / 10_000);
    return {
      date: now - ((n * 13) % (29 * 24 * 60)) * 60_000,
      url: `https://shop.example/things/${i}`,
      route: '/things/:id',
      remoteAddr: `2001:db8::${i.toString(16)}`,
      visitor: `visitor-${i}`,
      agent: `Agent/${i}`,
      browser: `Agent ${i % 1_000}`,
      referrer: `https://other.example/${i}`,
      duration: 500 + (i % 3_000),
      contentLength: 1_000 + (n % 500),
      status: n % 400 === 0 ? 500 : 200,
      country: ['DE', 'FR', 'US', null][n % 4]!,
    };
  });
}
