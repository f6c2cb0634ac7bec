import { setTimeout as pause } from 'node:timers/promises';
import { PRODUCTS } from './products.ts';

/** Number of concurrent visitors. Each opens one page after the other. */
const VISITORS = 8;
/** Time between two pages of a visitor. In ms. */
const READING_TIME = 800;

const BROWSERS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15',
  'Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0',
];
const BOTS = [
  'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
  'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
  'curl/8.14.1',
];
/** Origins of visitors: the start of an address, and the language used there. */
const LOCATIONS = [
  ['84.130.10.', 'de-DE,de;q=0.9,en;q=0.6'],
  ['81.2.69.', 'en-GB,en;q=0.9'],
  ['73.12.44.', 'en-US,en;q=0.9'],
  ['90.80.12.', 'fr-FR,fr;q=0.9,en;q=0.5'],
  ['126.10.20.', 'ja,en;q=0.4'],
  ['187.60.22.', 'pt-BR,pt;q=0.9'],
  ['2.36.10.', 'it-IT,it;q=0.9'],
  ['24.48.0.', 'fr-CA,fr;q=0.8,en-CA;q=0.7'],
  ['2a02:8109:1::', 'de'],
  ['81.225.33.', 'sv-SE,sv;q=0.9,en;q=0.8'],
  ['1.120.33.', 'en-AU,en;q=0.9'],
] as const;
const REFERRERS = ['https://www.google.com/', 'https://duckduckgo.com/', 'https://news.ycombinator.com/', ''];
const MISSING_PATHS = ['/wp-login.php', '/.env', '/favicon.ico', '/products/teapot'];
const WORDS = ['beans', 'filter', 'steel', 'tea'];

/**
 * Sends real requests until the signal is aborted. Ignores failed requests, because the shop may be closing.
 */
export async function visit(origin: string, signal: AbortSignal): Promise<void> {
  await Promise.all(Array.from({ length: VISITORS }, () => visitRepeatedly(origin, signal)));
}

async function visitRepeatedly(origin: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await (Math.random() < 0.15 ? crawl(origin, signal) : shop(origin, signal)).catch(() => {});
    await pause(READING_TIME * Math.random(), undefined, { signal }).catch(() => {});
  }
}

/** Simulates a person with a browser that keeps cookies and follows links. */
async function shop(origin: string, signal: AbortSignal): Promise<void> {
  const browse = browser(origin, signal, oneOf(BROWSERS), oneOf(LOCATIONS), oneOf(REFERRERS));
  await browse('/');
  await browse('/static/shop.css');
  for (let pages = 1 + Math.random() * 8; pages > 0; pages--) {
    await pause(READING_TIME * (0.5 + Math.random()), undefined, { signal });
    const product = oneOf(PRODUCTS);
    const chance = Math.random();
    if (chance < 0.25) await browse('/products');
    else if (chance < 0.6) await browse(`/products/${product.id}`);
    else if (chance < 0.72) await browse(`/search?q=${oneOf(WORDS)}`);
    else if (chance < 0.82) await browse('/basket', new URLSearchParams({ product: product.id }));
    else if (chance < 0.9) await browse('/offer');
    else if (chance < 0.96) await browse('/stock');
    else await browse(oneOf(MISSING_PATHS));
  }
}

/** Simulates a bot that keeps no cookies and opens every page. */
async function crawl(origin: string, signal: AbortSignal): Promise<void> {
  const browse = browser(origin, signal, oneOf(BOTS), ['73.12.44.', ''], '');
  for (const path of [
    '/robots.txt',
    '/',
    '/products',
    `/products/${oneOf(PRODUCTS).id}`,
    oneOf(MISSING_PATHS),
  ]) {
    await browse(path);
    await pause(READING_TIME / 4, undefined, { signal });
  }
}

/** Returns a function that fetches pages of the shop and, like a browser, keeps cookies and the last page. */
function browser(
  origin: string,
  signal: AbortSignal,
  agent: string,
  [network, languages]: readonly [string, string],
  referrer: string,
): (path: string, form?: URLSearchParams) => Promise<void> {
  const cookies = new Map<string, string>();
  const address = network + (1 + Math.floor(Math.random() * 250));
  let cameFrom = referrer;

  return async function browse(path, form?: URLSearchParams) {
    const headers = new Headers({ 'user-agent': agent, 'x-forwarded-for': address });
    if (languages !== '') headers.set('accept-language', languages);
    if (cameFrom !== '') headers.set('referer', cameFrom);
    if (cookies.size > 0) headers.set('cookie', [...cookies].map((pair) => pair.join('=')).join('; '));
    const response = await fetch(origin + path, {
      signal,
      headers,
      redirect: 'manual',
      ...(form && { method: 'POST', body: form }),
    });
    await response.arrayBuffer();
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (name !== undefined && value !== undefined) cookies.set(name, value);
    }
    cameFrom = origin + path;
    const next = response.headers.get('location');
    if (next?.startsWith('/')) await browse(next);
  };
}

function oneOf<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)]!;
}
