import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll } from 'vitest';
import { verify } from '../../src/maintenance/verify.ts';
import { UsageQuery } from '../../src/query/query.ts';
import type { HandlerOptions } from '../../src/server/options.ts';
import { maxKeysOf } from '../../src/storage/key-budget.ts';
import type { StoredRetention } from '../../src/storage/retention.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { defineSummary } from '../../src/summaries/define.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { maintenanceOf } from '../../src/testing/maintenance.ts';
import { openWriter } from '../../src/testing/support.ts';
import { statusOf } from '../server/support.ts';

/** The built handler, which has the built page. */
const built = new URL('../../dist/server/handler.js', import.meta.url).href;
const { createHandler } = (await import(built)) as typeof import('../../src/server/handler.ts');

const HOUR = 3_600_000;
const summaries = [...STANDARD_SUMMARIES, defineSummary({ name: 'plans', key: () => null })];
/** Maximum number of records of a batch, as in an app. */
const BATCH = 10_000;
const SCREENSHOTS = 'test-screenshots';
mkdirSync(SCREENSHOTS, { recursive: true });

export interface SiteOptions {
  /** Options of the handler. Defaults to `public`. */
  handler?: HandlerOptions;
  /** Stores in a SQLite file instead of memory. */
  sqlite?: boolean;
  timeZone?: string;
  /** Maximum number of keys per bucket. Defaults to no maximum. */
  maxKeys?: number;
  /** Retention in force. Defaults to none. */
  retention?: StoredRetention;
}

/** Returns a function that starts sites, which are stopped after the tests of the file. */
export function fileSites() {
  const closing: (() => unknown)[] = [];
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
  });

  /** Starts a site with a dashboard. More records can be stored later. */
  return async function siteWith(records: readonly TestRecord[], options: SiteOptions = {}) {
    const {
      handler: handlerOptions = { public: true },
      sqlite = false,
      timeZone = 'Europe/Berlin',
      maxKeys,
      retention,
    } = options;
    const directory = mkdtempSync(join(tmpdir(), 'track-usage-page-'));
    closing.push(() => rmSync(directory, { recursive: true }));
    const storage = sqlite
      ? new SqliteStorage(join(directory, 'usage.db'), { hooks: summaries })
      : new MemoryStorage({ hooks: summaries });
    closing.push(() => storage.close());
    const limits = maxKeys === undefined ? {} : { maxKeys: maxKeysOf(maxKeys) };
    const writer = await openWriter(storage, { site: 'shop', timeZone, ...limits });
    closing.push(() => writer.close());
    const journal = new TestJournal('a', summaries, timeZone, 'shop');
    let committed = 0;
    const store = async (more: readonly TestRecord[]) => {
      for (let from = 0; from < more.length; from += BATCH) {
        await writer.apply(journal.batch(more.slice(from, from + BATCH)));
      }
      committed += more.length;
    };
    await store(records);
    if (retention) await maintenanceOf(writer).retain(retention);
    let failing = { path: '', status: 0 };
    const query = new UsageQuery(storage.reader, { site: 'shop', timeZone, summaries });
    const hooks = { pending: 0, dropped: 0, failed: 0 };
    const status = () =>
      statusOf({
        journaled: committed,
        storages: [
          {
            storage: sqlite ? 'sqlite' : 'memory',
            ok: true,
            committed,
            adopted: 0,
            rejected: 0,
            lost: 0,
            pruned: 0,
            pruneError: null,
            budgets: {
              keys: maxKeys === undefined ? [] : [{ summary: 'urls', date: new Date().toISOString() }],
              texts: 0,
            },
            hooks,
            lag: { records: 0, seconds: 0 },
            error: null,
          },
        ],
      });
    const verifyDay = (of: string, date: string) => verify({ storage, site: of, from: date, to: date });
    const source = { query, site: 'shop', status, verify: verifyDay, version: '1.2.3' };
    const handler = createHandler(source, handlerOptions);
    const server = http.createServer((request, response) => {
      if (failing.path !== '' && request.url?.includes(failing.path)) {
        response.writeHead(failing.status).end();
      } else if (!handler(request, response)) response.end('app');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/usage/`;
    return {
      url,
      store,
      /** Fails requests whose URL includes a text; none if it is empty. */
      fail: (path: string, status = 500) => {
        failing = { path, status };
      },
    };
  };
}

/** Returns requests of the last 40 days. */
export function visits(count: number): TestRecord[] {
  const now = Date.now();
  return Array.from({ length: count }, (_, i) => ({
    date: now - ((i * 7) % (40 * 24)) * HOUR,
    url: `http://shop.example/${i % 5 === 0 ? '' : `articles/${i % 90}?from=list`}`,
    route: i % 5 === 0 ? '/' : '/articles/:id',
    status: i % 50 === 0 ? 503 : i % 20 === 0 ? 404 : 200,
    duration: 800 + ((i * 37) % 5_000),
    contentLength: 1_000 + i,
    remoteAddr: `192.0.2.${i % 60}`,
    agent: `Agent ${i % 12}`,
    browser: ['Chrome', 'Firefox', 'Safari'][i % 3]!,
    language: ['en-US', 'de', null][i % 3]!,
    referrer: i % 4 === 0 ? 'https://search.example/?q=shoes' : null,
    // Bots are no visitors.
    visitor: i % 2 === 0 && i % 10 > 0 ? `v${i % 40}` : null,
    country: ['DE', 'US', null][i % 3]!,
    bot: i % 10 === 0,
    extra: { keys: { plans: [i % 2 ? 'gold' : 'free'] } },
  }));
}

/** Saves a screenshot of the page. */
export const screenshot = (page: Page, name: string, fullPage = true) =>
  page.screenshot({ path: `${SCREENSHOTS}/dashboard-${name}.png`, fullPage });
export const panel = (page: Page, name: string) =>
  page.locator('.panel', { has: page.getByRole('heading', { name, exact: true }) });
export const hits = (page: Page) => page.locator('.total', { hasText: 'Hits' }).getAttribute('title');
/** Chooses a range by its label. */
export async function chooseRange(page: Page, label: string): Promise<void> {
  await page.locator('.segment.range').click();
  await page.locator('.ranges .menu-item', { hasText: label }).click();
}
export const query = (page: Page) => new URL(page.url()).searchParams;
