import { createHash } from 'node:crypto';
import type { CapturedFields } from '../../src/capture/record-sink.ts';
import { randomNumbers, zipf } from './random.ts';

/**
 * Kind of traffic. `zipf`: a shop's day, in which few URLs and visitors cause most requests. `urls`: the same
 * visitors, with distinct URLs. `distinct`: distinct URLs and visitors.
 */
export type Kind = 'zipf' | 'urls' | 'distinct';

const DAY = 24 * 60 * 60 * 1000;
/** Default start of the traffic, in ms since 1970. */
const BEGIN = Date.UTC(2026, 0, 15);
const HOST = 'https://shop.example.org';
const URLS = 10_000;
const ADDRESSES = 20_000;
const REFERRERS = 200;

const ROUTES = [
  { route: '/products/:id', name: 'id', url: (n: number) => `/products/${n}`, value: String },
  { route: '/articles/:slug', name: 'slug', url: (n: number) => `/articles/${slug(n)}`, value: slug },
  { route: '/search', url: (n: number) => `/search?q=shoes+${n}&sort=price&page=${n % 9}` },
  { route: '/api/items/:id', name: 'id', url: (n: number) => `/api/items/${n}?fields=name`, value: String },
  { route: '/', url: (n: number) => `/?campaign=${n}` },
] as const;

/** First bytes of networks of providers all over the world. */
const NETWORKS = [
  3, 5, 24, 31, 41, 46, 49, 58, 62, 66, 73, 78, 84, 88, 91, 103, 109, 114, 122, 133, 151, 177, 186, 189, 197,
  203, 212, 217,
];
const NETWORKS_6 = [
  '2001:4860',
  '2003:e7',
  '2600:1700',
  '2606:4700',
  '2804:14c',
  '2a02:8108',
  '2a01:e0a',
  '2409:8a00',
  '240e:3b0',
];

/** Yields the fields of `count` requests, spread evenly over some days. The object is reused. */
export function* traffic(count: number, kind: Kind, days = 1, begin = BEGIN): Generator<CapturedFields> {
  const random = randomNumbers(20_260_115);
  const ofUrls = zipf(URLS, random);
  const ofAddresses = zipf(ADDRESSES, random);
  const agents = userAgents();
  const ofAgents = zipf(agents.length, random);
  const languages = acceptLanguages();
  const below = (n: number) => Math.floor(random() * n);
  const addresses = Array.from({ length: ADDRESSES }, (_, i) => address(i, below));
  const visitors = addresses.map((_, i) => visitor(i));
  const referrers = Array.from(
    { length: REFERRERS },
    (_, i) => `https://www.site-${i % 40}.example/list/${i}`,
  );
  const fields: CapturedFields = {
    received: 0,
    class: 1,
    date: 0,
    contentLength: 0,
    duration: 0,
    status: 0,
    credentials: false,
    method: '',
    url: '',
    route: '',
    protocol: 'HTTP/1.1',
    remoteAddr: '',
    forwardedFor: '',
    agent: '',
    acceptLanguage: '',
    referrer: '',
    username: '',
    visitor: '',
    blueprint: '',
    extra: '',
  };
  for (let i = 0; i < count; i++) {
    const url = kind === 'zipf' ? ofUrls() : i;
    const who = ofAddresses();
    const route = ROUTES[url % ROUTES.length]!;
    const chance = random();
    fields.date = begin + Math.floor((i / count) * days * DAY);
    fields.status =
      chance < 0.9 ? 200 : chance < 0.94 ? 304 : chance < 0.96 ? 302 : chance < 0.995 ? 404 : 500;
    fields.contentLength = fields.status === 304 ? 0 : 500 + below(20_000);
    fields.duration = 300 + below(30_000);
    fields.method = below(20) === 0 ? 'POST' : 'GET';
    fields.url = HOST + route.url(url);
    fields.route = route.route;
    fields.extra = 'name' in route ? `{"routeParams":{"${route.name}":"${route.value(url)}"}}` : '';
    fields.remoteAddr = addresses[who]!;
    // A visitor always uses the same browser and language.
    fields.agent = agents[(ofAgents() + who) % agents.length]!;
    fields.acceptLanguage = languages[who % languages.length]!;
    fields.referrer = below(3) === 0 ? '' : referrers[below(REFERRERS)]!;
    fields.visitor = kind === 'distinct' ? visitor(i) : visitors[who]!;
    yield fields;
  }
}

function slug(n: number): string {
  return `how-to-choose-a-pair-of-shoes-${n}`;
}

function visitor(n: number): string {
  return createHash('md5').update(String(n)).digest('hex');
}

function address(n: number, below: (n: number) => number): string {
  if (n % 8 === 7) {
    const network = NETWORKS_6[below(NETWORKS_6.length)];
    return `${network}:${(n + 1).toString(16)}:${below(0x10000).toString(16)}::${(below(0xffff) + 1).toString(16)}`;
  }
  return `${NETWORKS[below(NETWORKS.length)]}.${below(256)}.${n >> 8}.${n & 255}`;
}

/** Returns 500 user agents: browsers of several versions on several systems, and a few bots. */
function userAgents(): string[] {
  const desktops = ['Windows NT 10.0; Win64; x64', 'Macintosh; Intel Mac OS X 10_15_7', 'X11; Linux x86_64'];
  const phones = ['SM-S921B', 'Pixel 9', '2201117TG', 'moto g54 5G', 'CPH2609'];
  const webkit = 'AppleWebKit/537.36 (KHTML, like Gecko)';
  const agents: string[] = [];
  for (let version = 140; agents.length < 490; version--) {
    for (const system of desktops) {
      const chrome = `Mozilla/5.0 (${system}) ${webkit} Chrome/${version}.0.0.0 Safari/537.36`;
      agents.push(chrome, `${chrome} Edg/${version}.0.0.0`, `${chrome} OPR/${version - 16}.0.0.0`);
      agents.push(`Mozilla/5.0 (${system}; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`);
    }
    for (const phone of phones) {
      agents.push(
        `Mozilla/5.0 (Linux; Android 14; ${phone}) ${webkit} Chrome/${version}.0.0.0 Mobile Safari/537.36`,
      );
    }
    const ios = `${18 - ((140 - version) >> 3)}_${version % 7}`;
    agents.push(
      `Mozilla/5.0 (iPhone; CPU iPhone OS ${ios} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${ios.replace('_', '.')} Mobile/15E148 Safari/604.1`,
    );
  }
  const bots = [
    'Googlebot/2.1; +http://www.google.com/bot.html',
    'bingbot/2.0; +http://www.bing.com/bingbot.htm',
    'DuckDuckBot/1.1; +https://duckduckgo.com/duckduckbot.html',
    'AhrefsBot/7.0; +http://ahrefs.com/robot/',
    'YandexBot/3.0; +http://yandex.com/bots',
  ];
  const others = [
    'curl/8.5.0',
    'python-requests/2.32.3',
    'Go-http-client/2.0',
    'okhttp/4.12.0',
    'axios/1.7.2',
  ];
  return [...agents.slice(0, 490), ...bots.map((bot) => `Mozilla/5.0 (compatible; ${bot})`), ...others];
}

/** Returns 40 Accept-Language headers. */
function acceptLanguages(): string[] {
  const tags = ['en-US', 'de-DE', 'fr-FR', 'es-ES', 'pt-BR', 'it-IT', 'nl-NL', 'pl-PL', 'ja-JP', 'zh-CN'];
  return tags.flatMap((tag) => {
    const [language] = tag.split('-');
    return [
      `${tag},${language};q=0.9`,
      `${tag},${language};q=0.9,en;q=0.8`,
      `${language},en-US;q=0.7,en;q=0.3`,
      `${tag},${language};q=0.8,en-US;q=0.6,en;q=0.4,*;q=0.1`,
    ];
  });
}
