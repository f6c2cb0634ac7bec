import { marked, type Tokens } from 'marked';
import { describe, expect, test } from 'vitest';
import { UsageQuery } from '../../src/query/query.ts';
import { htmlReport } from '../../src/report/html.ts';
import { markdownReport } from '../../src/report/markdown.ts';
import { makeReport } from '../../src/report/report.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { summariesOf } from '../../src/summaries/standard.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { HOSTILE_TEXTS } from '../../src/testing/hostile.ts';
import { openWriter } from '../../src/testing/support.ts';
import { ALL, IMPRINT, NOW, reportOf, sumPlans } from './support.ts';

const at = (text: string) => Date.parse(text);
const VISITS: TestRecord[] = [
  { date: at('2026-09-30T10:00:00Z'), url: '/a', visitor: 'v1', contentLength: 1_000 },
  { date: at('2026-10-02T10:00:00Z'), url: '/a', visitor: 'v1', contentLength: 1_500 },
  { date: at('2026-10-02T11:00:00Z'), url: '/b|c', visitor: 'v2', contentLength: 500, status: 500 },
  { date: at('2026-10-03T10:00:00Z'), url: '/a', visitor: 'v1', agent: 'Googlebot/2.1', bot: true },
  { date: at('2026-11-01T10:00:00Z'), url: '/a', visitor: 'v3' },
];

describe('queries', () => {
  test.each([
    ['UTC', '2026-11-25T20:36:00Z', '2026-10-01T00:00:00+00:00', '2026-10-31T23:00:00+00:00'],
    ['UTC', '2026-01-01T00:00:00Z', '2025-12-01T00:00:00+00:00', '2025-12-31T23:00:00+00:00'],
    ['Europe/Berlin', '2026-10-31T23:30:00Z', '2026-10-01T00:00:00+02:00', '2026-10-31T23:00:00+01:00'],
    ['America/St_Johns', '2026-11-01T02:00:00Z', '2026-09-01T00:00:00-02:30', '2026-09-30T23:00:00-02:30'],
  ])('default to the last full month in %s at %s', async (timeZone, now, from, to) => {
    const { totals } = await reportOf([{ date: at('2025-12-10T00:00:00Z') }], { timeZone, now: at(now) });
    expect(totals.range).toEqual({ from, to });
  });

  test('all have the same range, and are compared with the previous one', async () => {
    const { site, totals, series, top } = await reportOf(VISITS, { hooks: [...ALL, sumPlans] });
    expect(totals.totals).toMatchObject({ hits: 3, errors: 1, visitors: 2, bots: 1 });
    expect(totals.previous!.totals).toMatchObject({ hits: 1, visitors: 1 });
    expect([series.period, series.buckets.length]).toEqual(['day', 31]);
    expect(top.map(({ summary }) => summary)).toEqual(site.summaries.map(({ name }) => name));
    expect(top[0]!.rows.map(({ key, hits, previous }) => [key, hits, previous?.hits])).toEqual([
      ['/a', 2, 1],
      ['/b|c', 1, 0],
    ]);
    for (const result of [series, ...top]) expect(result.range).toEqual(totals.range);
  });

  test('the range all is not compared', async () => {
    const { totals, top } = await reportOf(VISITS, { range: 'all' });
    expect(totals.totals.hits).toBe(5);
    expect(totals.previous).toBeNull();
    expect(top[0]!.rows[0]!.previous).toBeNull();
  });
});

test('a summary without full coverage has a note', async () => {
  const storage = new MemoryStorage({ hooks: [] });
  const writer = await openWriter(storage, { site: 'shop' });
  const journal = new TestJournal('a', [], 'UTC', 'shop');
  await writer.apply(journal.batch(VISITS.slice(0, 3), summariesOf(['urls'])));
  await writer.apply(journal.batch(VISITS.slice(3), summariesOf(['urls', 'visitors'])));
  const query = new UsageQuery(storage.reader, { site: 'shop', now: () => NOW });
  const report = await makeReport(query, { from: '2026-10', to: '2026-10', full: true }, NOW);
  const gap =
    'sumVisitors does not include 2 hits between 2026-10-02 10:00 and 2026-10-02 11:59, when it was not among the hooks of every app.';
  for (const text of [htmlReport(report, IMPRINT), markdownReport(report, IMPRINT)]) {
    // Among the notes, and below the list.
    expect(text.split(gap).length - 1).toBe(2);
  }
  expect(htmlReport(report, IMPRINT)).toMatch(
    /2 October 2026<\/th><td class="number">2<\/td><td class="number">–</,
  );
});

test('renders Markdown', async () => {
  const text = markdownReport(
    await reportOf(VISITS, { hooks: ['urls', 'visitors', 'geo'], from: '2026-10-02', to: '2026-10-05' }),
    IMPRINT,
  );
  expect(text).toMatchInlineSnapshot(`
    "# Usage of \`shop\`

    **2 to 5 October 2026**, time zone \`UTC\`

    |  | Value | Previous period | Change |  |
    | --- | --: | --: | --: | --- |
    | Hits | 3 | 1 | +200% |  |
    | Visitors | 2 | 1 | +100% | distinct cookies |
    | Transfer | 2.0 kB | 1.0 kB | +100% | 668 B per hit |
    | Avg. response time | 1.5 ms | 1.5 ms | 0% |  |
    | Errors | 1 | 0 | new | 33.3% of hits |
    | Bots | 1 | 0 | new | 33.3% of hits |

    Compared with 28 September to 1 October 2026.

    ## Hits by day

    | Day | Hits | Errors | Transfer | Avg. response time |  |
    | --- | --: | --: | --: | --: | --- |
    | 2 October 2026 | 2 | 1 | 2.0 kB | 1.5 ms | ██████████ |
    | 3 October 2026 | 1 | 0 | 5 B | 1.5 ms | █████ |
    | 4 October 2026 | 0 | 0 | 0 B | – |  |
    | 5 October 2026 | 0 | 0 | 0 B | – |  |

    ## URLs

    | URL | Hits | Share | Transfer | Change |
    | --- | --: | --: | --: | --: |
    | \`/a\` | 2 | 66.7% | 1.5 kB | +100% |
    | \`/b\\|c\` | 1 | 33.3% | 500 B | new |

    ## Visitors

    | Visitor | Hits | Share | Transfer | Change |
    | --- | --: | --: | --: | --: |
    | \`v1\` | 2 | 66.7% | 1.5 kB | +100% |
    | \`v2\` | 1 | 33.3% | 500 B | new |

    ## Countries

    | Country | Hits | Share | Transfer | Change |
    | --- | --: | --: | --: | --: |
    | *Unknown* | 3 | 100% | 2.0 kB | +200% |

    ## About these numbers

    - Counted by the server: every request that the app answered, once. No script runs in the browser, and nothing is estimated or sampled.
    - Days and months are in the time zone UTC.
    - Transfer is the size of response bodies. Errors are responses with a status of 500 or more. Avg. response time is measured from the arrival of a request to the write that completed its response.
    - Visitors are distinct cookies in the whole range: a visitor who returns on another day counts once. A client without cookies counts as a new visitor with each request, so the number is an upper bound.
    - Hits include bots. A bot is a client whose user agent identifies it as one.
    - Not stored: sumRemotes, sumUserAgents, sumLanguages, sumServer, sumRoutes, sumStatus, sumReferrers, sumBrowsers, sumBots, sumPlatforms, sumMethods, sumProtocols, sumUsers, sumPaths, sumHosts, sumCampaigns, sumDevices, sumNotFound, sumClasses, sumPages, sumApi, sumAssets. To store a summary from now on, add it to the hooks of the storage.
    - Created on 2026-11-25 at 20:36 UTC by track-usage 1.2.3.
    "
  `);
});

describe('hostile keys are escaped', () => {
  const texts = [
    ...HOSTILE_TEXTS,
    'javascript:alert(1)',
    'https://evil.example/',
    'www.evil.example',
    'mail@evil.example',
    '@octocat',
    '#1',
    '[a](https://evil.example)',
    '![a](https://evil.example/a.png)',
    '<https://evil.example>',
    '`',
    '``a``',
    ' a ',
    ' ` ',
    '|',
    'a\\|b',
    'a`|`b',
    '</style><style>*{display:none}',
    '</title><script>alert(1)</script>',
    '</svg></desc><script>alert(1)</script>',
    '" onload="alert(1)',
    "' autofocus onfocus='alert(1)",
    '&lt;script&gt;&#60;b&#62;',
    '-->',
    '<!--',
    '\n\n# heading',
    '| a | b |\n| --- | --- |',
  ];
  const pages = Array.from({ length: Math.ceil(texts.length / 10) }, (_, n) =>
    texts.slice(n * 10, n * 10 + 10),
  );
  /** As the report shows it. */
  const shown = (text: string) => text.replace(/\s+/g, ' ').trim();

  async function report(page: readonly string[]) {
    const records = page.flatMap((text, n) =>
      // Each once more than the next: so they keep their order.
      Array.from({ length: 10 - n }, (_, i) => ({
        date: at('2026-10-02T10:00:00Z') + i,
        url: text,
        agent: text,
        browser: text,
        referrer: text,
        language: text,
        country: text,
        serverName: text,
      })),
    );
    return reportOf(records);
  }

  test.each(pages.map((page, n) => ({ n, page })))('in Markdown, page $n', async ({ page }) => {
    const text = markdownReport(await report(page), IMPRINT);
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
    const tokens = marked.lexer(text);
    const tables = tokens.filter((token): token is Tokens.Table => token.type === 'table');
    // After the totals, the days and the routes.
    const urls = tables[3]!;
    expect(urls.rows.length).toBe(page.length);
    for (const row of urls.rows) {
      expect(row.map((cell) => cell.tokens.map(({ type }) => type))).toEqual([
        ['codespan'],
        ['text'],
        ['text'],
        ['text'],
      ]);
    }
    const html = marked.parse(text, { async: false });
    expect(html).not.toMatch(
      /<(?!\/?(h[12]|p|strong|em|code|table|thead|tbody|tr|t[hd]|ul|li|blockquote)[ >])/,
    );
  });

  test.each(pages.map((page, n) => ({ n, page })))('in HTML, page $n', async ({ page }) => {
    const made = await report(page);
    const text = htmlReport(made, IMPRINT);
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
    // No key adds an element.
    const plain = htmlReport(await report(page.map((_, n) => `key-${n}`)), IMPRINT);
    const elements = (of: string) => [...of.matchAll(/<\/?[a-z!][a-z0-9]*/gi)].map(([tag]) => tag);
    const bare = (of: string[]) => of.filter((tag) => !/span/.test(tag));
    expect(bare(elements(text))).toEqual(bare(elements(plain)));
    const keys = [...text.matchAll(/<bdi>([^<]*)<\/bdi>/g)].map(([, key = '']) => key);
    expect(keys.length).toBeGreaterThan(page.length);
    expect(keys.join('')).not.toMatch(/["'<>]/);
    expect(shown(text)).not.toContain('<script');
  });
});

describe('html', () => {
  test('is a single file without scripts or external resources', async () => {
    const text = htmlReport(await reportOf(VISITS), IMPRINT);
    expect(text).not.toMatch(/<script|<link(?! rel="icon" href="data:,")|<img|@import|url\(|\son\w+=/i);
    expect([...text.matchAll(/\b(?:href|src|action)="([^"]*)"/g)].map(([, url]) => url)).toEqual([
      'data:,',
      '#numbers',
    ]);
    expect(text).toContain(`default-src &#39;none&#39;`);
    expect(text).toContain('<title>shop: usage in October 2026</title>');
  });

  test('the chart has a description and a table of its values', async () => {
    const text = htmlReport(await reportOf(VISITS), IMPRINT);
    expect(text).toContain('role="img" aria-labelledby="chart-title chart-desc"');
    expect(text).toContain('<title id="chart-title">Hits by day</title>');
    expect(text).toContain(
      '<desc id="chart-desc">Maximum: 2 October 2026 with 2. Minimum: 1 October 2026 with 0. A table below lists all numbers.</desc>',
    );
    expect(text.match(/<rect class="bar" x="\d/g)).toHaveLength(2 + 1);
    expect(text).toContain('<title>2 October 2026: 2, errors: 1</title>');
    expect(text.match(/<tr><th scope="row">\d+ October 2026<\/th>/g)).toHaveLength(31);
  });

  test('values that are not kept are not shown as 0', async () => {
    const text = htmlReport(await reportOf(VISITS, { hooks: ['urls'] }), IMPRINT);
    expect(text).not.toContain('<dt>Visitors');
    expect(text).toContain('Not stored: sumRemotes, sumUserAgents,');
    // The bots of all requests are known.
    expect(text).toContain('<dt>Bots');
  });

  test('a summary without data in the range says so', async () => {
    const text = htmlReport(await reportOf(VISITS, { from: '2026-08', to: '2026-08' }), IMPRINT);
    expect(text).toContain('No hits of the site &#34;shop&#34; in this range.');
    expect(text.match(/No hits in this range\.<\/p>\n?<\/section>/g)).toHaveLength(ALL.length);
    expect(text).not.toContain('<figure');
    expect(text).toContain('<dt>Avg. response time</dt><dd class="value">–</dd>');
    expect(text).not.toContain('NaN');
    expect(text).not.toContain('Infinity');
  });

  test('an empty storage says so', async () => {
    for (const format of [htmlReport, markdownReport]) {
      const text = format(await reportOf([]), IMPRINT);
      expect(text).toMatch(/No data for the site .*shop.*: check the storage and the name of the site\./);
      expect(text).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  test.each(['today', '7d', '12mo', 'all'] as const)('%s', async (range) => {
    const made = await reportOf([...VISITS, { date: NOW }], { range, hooks: [...ALL, sumPlans] });
    for (const text of [htmlReport(made, IMPRINT), markdownReport(made, IMPRINT)]) {
      expect(text).not.toMatch(/NaN|Infinity|undefined|\[object/);
    }
  });
});
