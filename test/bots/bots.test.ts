import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { isbot } from 'isbot';
import { describe, expect, test } from 'vitest';
import { readCrawlers, sourceOfList } from '../../scripts/bots.ts';
import { botKind } from '../../src/bots/bot-kind.ts';
import { BOT_KINDS, type BotKind } from '../../src/bots/kinds.ts';
import { productOf } from '../../src/bots/product.ts';
import { botOf } from '../../src/bots/recognize.ts';
import { Enricher } from '../../src/writer/enrich/enricher.ts';

const CHROME = 'Chrome/126.0.0.0 Safari/537.36';
const KHTML = 'AppleWebKit/537.36 (KHTML, like Gecko)';
const LINUX = `Mozilla/5.0 (X11; Linux x86_64) ${KHTML}`;
const PHONE = `Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) ${KHTML}`;

const KNOWN: Record<BotKind, [agent: string, name: string, version: string | null][]> = {
  search: [
    ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'Googlebot', '2.1'],
    [
      `${PHONE} Chrome/126.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)`,
      'Googlebot',
      '2.1',
    ],
    ['Googlebot-Image/1.0', 'Googlebot-Image', '1.0'],
    [`${LINUX} ${CHROME} (compatible; GoogleOther)`, 'GoogleOther', null],
    [`${LINUX} (compatible; Google-InspectionTool/1.0;)`, 'Google-InspectionTool', '1.0'],
    ['Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)', 'bingbot', '2.0'],
    [
      `Mozilla/5.0 ${KHTML}; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36`,
      'bingbot',
      '2.0',
    ],
    ['Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)', 'YandexBot', '3.0'],
    ['Mozilla/5.0 (compatible; YandexImages/3.0; +http://yandex.com/bots)', 'YandexImages', '3.0'],
    ['DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)', 'DuckDuckBot', '1.1'],
    [
      'Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)',
      'Baiduspider',
      '2.0',
    ],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)',
      'Applebot',
      '0.1',
    ],
    [
      'Mozilla/5.0 (compatible; SeznamBot/4.0; +http://napoveda.seznam.cz/seznambot-intro/)',
      'SeznamBot',
      '4.0',
    ],
    ['Mozilla/5.0 (compatible; MojeekBot/0.11; +https://www.mojeek.com/bot.html)', 'MojeekBot', '0.11'],
    [
      `${PHONE} Mobile Safari/537.36 (compatible;PetalBot;+https://webmaster.petalsearch.com/site/petalbot)`,
      'PetalBot',
      null,
    ],
  ],
  ai: [
    [`Mozilla/5.0 ${KHTML}; compatible; GPTBot/1.2; +https://openai.com/gptbot)`, 'GPTBot', '1.2'],
    [`Mozilla/5.0 ${KHTML}; compatible; ChatGPT-User/1.0; +https://openai.com/bot`, 'ChatGPT-User', '1.0'],
    [
      `${LINUX} ${CHROME}; compatible; OAI-SearchBot/1.0; +https://openai.com/searchbot`,
      'OAI-SearchBot',
      '1.0',
    ],
    [`Mozilla/5.0 ${KHTML}; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)`, 'ClaudeBot', '1.0'],
    [`Mozilla/5.0 ${KHTML}; compatible; Claude-User/1.0; +Claude-User@anthropic.com)`, 'Claude-User', '1.0'],
    [
      `Mozilla/5.0 ${KHTML}; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)`,
      'PerplexityBot',
      '1.0',
    ],
    ['CCBot/2.0 (https://commoncrawl.org/faq/)', 'CCBot', '2.0'],
    [
      'meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)',
      'meta-externalagent',
      '1.1',
    ],
    [
      `${PHONE} Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)`,
      'Bytespider',
      null,
    ],
    [
      'Mozilla/5.0 (compatible; DuckAssistBot/1.2; +http://duckduckgo.com/duckassistbot.html)',
      'DuckAssistBot',
      '1.2',
    ],
  ],
  seo: [
    ['Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)', 'AhrefsBot', '7.0'],
    [
      'Mozilla/5.0 (compatible; AhrefsSiteAudit/6.1; +http://ahrefs.com/robot/site-audit)',
      'AhrefsSiteAudit',
      '6.1',
    ],
    ['Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)', 'SemrushBot', '7'],
    ['Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)', 'MJ12bot', '1.4.8'],
    [
      'Mozilla/5.0 (compatible; DotBot/1.2; +https://opensiteexplorer.org/dotbot; help@moz.com)',
      'DotBot',
      '1.2',
    ],
    ['Screaming Frog SEO Spider/19.4', 'Screaming Frog SEO Spider', '19.4'],
    [
      'Mozilla/5.0 (compatible; DataForSeoBot/1.0; +https://dataforseo.com/dataforseo-bot)',
      'DataForSeoBot',
      '1.0',
    ],
    ['Mozilla/5.0 (compatible; Barkrowler/0.9; +https://babbar.tech/crawler)', 'Barkrowler', '0.9'],
  ],
  monitoring: [
    ['Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)', 'UptimeRobot', '2.0'],
    ['Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)', 'Pingdom', null],
    ['Uptime-Kuma/1.23.1', 'Uptime-Kuma', '1.23.1'],
    ['Better Uptime Bot Mozilla/5.0 (Windows NT 10.0; Win64; x64)', 'Better Uptime Bot', null],
    ['kube-probe/1.30', 'kube-probe', '1.30'],
    ['ELB-HealthChecker/2.0', 'ELB-HealthChecker', '2.0'],
    ['GoogleHC/1.0', 'GoogleHC', '1.0'],
    ['Prometheus/2.53.0', 'Prometheus', '2.53.0'],
    ['check_http/v2.3.3 (nagios-plugins 2.3.3)', 'check_http', '2.3.3'],
    [`${LINUX} Chrome/126.0.0.0 Safari/537.36 Chrome-Lighthouse`, 'Chrome-Lighthouse', null],
    ['StatusCake', 'StatusCake', null],
    ['k6/0.52.0 (https://k6.io/)', 'k6', '0.52.0'],
  ],
  feed: [
    ['Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers)', 'Feedly', '1.0'],
    [
      'Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers; like FeedFetcher-Google)',
      'Feedly',
      '1.0',
    ],
    ['Tiny Tiny RSS/23.05 (https://tt-rss.org/)', 'Tiny Tiny RSS', '23.05'],
    ['FreshRSS/1.24.1 (Linux; https://freshrss.org)', 'FreshRSS', '1.24.1'],
    ['Mozilla/5.0 (compatible; Miniflux/2.1.3; +https://miniflux.app)', 'Miniflux', '2.1.3'],
    ['Feedbin feed-id:1373711 - 142 subscribers', 'Feedbin', null],
  ],
  social: [
    [
      'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
      'facebookexternalhit',
      '1.1',
    ],
    ['Twitterbot/1.0', 'Twitterbot', '1.0'],
    [
      'LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)',
      'LinkedInBot',
      '1.0',
    ],
    ['Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)', 'Slackbot', null],
    ['Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)', 'Discordbot', '2.0'],
    ['TelegramBot (like TwitterBot)', 'TelegramBot', null],
    ['WhatsApp/2.23.18.78 i', 'WhatsApp', '2.23.18.78'],
    ['http.rb/5.1.1 (Mastodon/4.2.1; +https://mastodon.social/) Bot', 'Mastodon', '4.2.1'],
  ],
  library: [
    ['curl/8.5.0', 'curl', '8.5.0'],
    ['Wget/1.21.2 (linux-gnu)', 'Wget', '1.21.2'],
    ['python-requests/2.31.0', 'python-requests', '2.31.0'],
    ['Python/3.11 aiohttp/3.9.1', 'aiohttp', '3.9.1'],
    ['Python-urllib/3.11', 'Python-urllib', '3.11'],
    ['Go-http-client/1.1', 'Go-http-client', '1.1'],
    ['okhttp/4.12.0', 'okhttp', '4.12.0'],
    ['axios/1.7.2', 'axios', '1.7.2'],
    ['node-fetch/1.0 (+https://github.com/bitinn/node-fetch)', 'node-fetch', '1.0'],
    ['minipass-fetch/3.0.5 (+https://github.com/isaacs/minipass-fetch)', 'minipass-fetch', '3.0.5'],
    ['Java/17.0.9', 'Java', '17.0.9'],
    ['PostmanRuntime/7.39.0', 'PostmanRuntime', '7.39.0'],
    ['node', 'node', null],
    ['undici', 'undici', null],
    ['Scrapy/2.11.2 (+https://scrapy.org)', 'Scrapy', '2.11.2'],
    [`${LINUX} HeadlessChrome/126.0.0.0 Safari/537.36`, 'HeadlessChrome', '126.0.0.0'],
    ['GuzzleHttp/7', 'Guzzle', '7'],
    ['Apache-HttpClient/4.5.14 (Java/17.0.9)', 'Apache-HttpClient', '4.5.14'],
  ],
  scanner: [
    ['Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)', 'CensysInspect', '1.1'],
    ['Mozilla/5.0 zgrab/0.x', 'zgrab', '0.x'],
    ['sqlmap/1.7.2#stable (https://sqlmap.org)', 'sqlmap', '1.7.2'],
    ['WPScan v3.8.25 (https://wpscan.com/wordpress-security-scanner)', 'WPScan', '3.8.25'],
    [
      'Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)',
      'Nmap Scripting Engine',
      null,
    ],
    ['masscan/1.3 (https://github.com/robertdavidgraham/masscan)', 'masscan', '1.3'],
    ['gobuster/3.6', 'gobuster', '3.6'],
    ['Fuzz Faster U Fool v2.1.0-dev', 'ffuf', '2.1.0-dev'],
  ],
  other: [
    ['AdsBot-Google (+http://www.google.com/adsbot.html)', 'AdsBot-Google', null],
    ['WordPress/6.5.4; https://example.org', 'WordPress', '6.5.4'],
    [
      'Mozilla/5.0 (compatible; archive.org_bot +http://www.archive.org/details/archive.org_bot)',
      'archive.org_bot',
      null,
    ],
    ['Stripe/1.0 (+https://stripe.com/docs/webhooks)', 'Stripe', '1.0'],
  ],
};

describe('botOf', () => {
  const known = Object.entries(KNOWN).flatMap(([kind, agents]) =>
    agents.map((agent) => [...agent, kind] as const),
  );
  test.each(known)('%s is %s', (agent, name, version, kind) => {
    const bot = botOf(agent);
    expect({ ...bot, kind: bot && botKind(bot.name) }).toEqual({ name, version, kind });
  });

  test.each([
    // Without an entry in a list
    ['examplebot/1.2', 'examplebot', '1.2'],
    ['Mozilla/5.0 (compatible; ExampleBot/0.1; +https://example.org/bot)', 'ExampleBot', '0.1'],
    ['Mozilla/5.0 (compatible; Example Crawler/2.0)', 'Example Crawler', '2.0'],
    ['MyTelegramBot/1.0', 'MyTelegramBot', '1.0'],
    ['BingBot/3.0', 'bingbot', '3.0'],
    ['CURL/8', 'curl', '8'],
    [`${LINUX} ${CHROME} (+https://www.crawler.example/about)`, 'crawler.example', null],
    ['bot@example.org', 'example.org', null],
    ['bot', 'bot', null],
    ['Mozilla/5.0', 'unknown', null],
    ['<script>alert(1)</script>', 'script', null],
    ['=cmd()/1.0 (x)', 'cmd', null],
    // No name of a product
    ['x'.repeat(1_200), 'unknown', null],
    [`${'crawler'.repeat(10)}/1.0`, 'unknown', null],
    ['bot 0123456789abcdef0123456789abcdef', 'bot', null],
  ])('%s is %s', (agent, name, version) => {
    expect(botOf(agent)).toEqual({ name, version });
  });

  test.each([
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${KHTML} ${CHROME}`,
    `${PHONE} Chrome/126.0.0.0 Mobile Safari/537.36`,
    'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
    'Mozilla/5.0 (Linux; Android 10; CUBOT_X18) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36',
    '',
  ])('%s is no bot', (agent) => {
    expect(botOf(agent)).toBe(null);
  });

  test('recognizes every user agent of the list', () => {
    const agents = readCrawlers().flatMap(({ instances }) => instances);
    expect(agents.length).toBeGreaterThan(2_000);
    const names = agents.filter((agent) => isbot(agent)).map((agent) => botOf(agent)?.name ?? '');
    expect(names.filter((name) => !/^\w[\w .:;!()&+'-]{0,39}$/.test(name) || name === 'unknown')).toEqual([]);
  });

  test('a name is short and printable, whatever the user agent contains', () => {
    const part = fc.oneof(
      fc.constantFrom(
        'bot',
        '/1.0',
        ' ',
        '(compatible; ',
        'http://',
        '@',
        ';',
        'Mozilla/5.0',
        '\0',
        'crawler',
      ),
      fc.string({ unit: 'binary', maxLength: 60 }),
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const agent = parts.join('');
        for (const name of [productOf(agent), botOf(agent)?.name ?? 'x']) {
          expect(name).toMatch(/^[ -~]{1,40}$/);
          expect(BOT_KINDS).toContain(botKind(name));
        }
      }),
    );
  });

  test('takes linear time', () => {
    for (const text of ['Current', ' a/1', 'http', '@a', 'bot ', 'https://', '(compatible; ']) {
      const started = performance.now();
      for (let i = 0; i < 100; i++) botOf(text.repeat(1_024 / text.length));
      expect(performance.now() - started).toBeLessThan(1_000);
    }
  });
});

describe('botKind', () => {
  test.each<[string, BotKind]>([
    ['googlebot', 'search'],
    ['GOOGLEBOT', 'search'],
    ['YandexSomethingNew', 'search'],
    ['Example Feed Reader', 'feed'],
    ['example-monitor', 'monitoring'],
    ['ExampleScanner', 'scanner'],
    ['example-http-client', 'library'],
    ['example-ai', 'ai'],
    ['examplebot', 'other'],
    ['unknown', 'other'],
    ['', 'other'],
  ])('of "%s" is %s', (name, kind) => {
    expect(botKind(name)).toBe(kind);
  });
});

test('the list is that of the installed package', () => {
  const file = readFileSync(join(import.meta.dirname, '..', '..', 'src', 'bots', 'list.ts'), 'utf8');
  expect(file, 'run: node scripts/bots.ts').toBe(sourceOfList());
});

test('the name of a bot is its browser', () => {
  const enricher = new Enricher(undefined);
  expect(enricher.userAgent(`${LINUX} HeadlessChrome/126.0.0.0 Safari/537.36`)).toEqual({
    browser: 'HeadlessChrome',
    version: '126.0.0.0',
    platform: 'Linux',
    device: 'bot',
    bot: true,
  });
});
