import { resolveSummaries, type Summary, type SummaryGroup } from './define.ts';

/** Each URL, as requested, with host and query. */
export const sumUrls: Summary = { name: 'urls', title: 'sumUrls', column: 'url' };

/** Each remote address. */
export const sumRemotes: Summary = {
  name: 'remotes',
  title: 'sumRemotes',
  column: 'remoteAddr',
};

/** Each client: the string of its user agent. */
export const sumUserAgents: Summary = {
  name: 'user-agents',
  title: 'sumUserAgents',
  column: 'agent',
};

/** Each language: the best of Accept-Language. */
export const sumLanguages: Summary = {
  name: 'languages',
  title: 'sumLanguages',
  column: 'language',
};

/** The whole server, under its `serverName`. */
export const sumServer: Summary = {
  name: 'server',
  title: 'sumServer',
  column: 'serverName',
};

/** Each cookie visitor; needs the option `cookie`. Requests without a cookie are counted under `null`. */
export const sumVisitors: Summary = {
  name: 'visitors',
  title: 'sumVisitors',
  column: 'visitor',
};

/** Each country by its ISO 3166 code; needs a country database (option `geo`) or a service (`freeGeoIp`). */
export const sumGeo: Summary = { name: 'geo', title: 'sumGeo', column: 'country' };

/** Each route: the framework's pattern, such as `/users/:id`. */
export const sumRoutes: Summary = { name: 'routes', title: 'sumRoutes', column: 'route' };

/** Each status code. */
export const sumStatus: Summary = { name: 'status', title: 'sumStatus', column: 'state' };

/** Each referrer; requests without one are counted under `null`. */
export const sumReferrers: Summary = {
  name: 'referrers',
  title: 'sumReferrers',
  column: 'referrer',
};

/** Each browser by its name, such as `Firefox`. */
export const sumBrowsers: Summary = {
  name: 'browsers',
  title: 'sumBrowsers',
  column: 'browser',
};

/** Each robot by its name, such as `Googlebot`; the requests of people are counted under `null`. */
export const sumBots: Summary = { name: 'bots', title: 'sumBots', column: 'robot' };

/** URLs, remotes, user agents, languages and server in one word; what a storage keeps without `hooks`. */
export const sumBasic: SummaryGroup = {
  name: 'basic',
  title: 'sumBasic',
  members: [sumUrls, sumRemotes, sumUserAgents, sumLanguages, sumServer],
};

/** The summaries that this library brings, in the order of the documentation. */
export const STANDARD_SUMMARIES: readonly Summary[] = [
  sumUrls,
  sumRemotes,
  sumUserAgents,
  sumLanguages,
  sumServer,
  sumVisitors,
  sumGeo,
  sumRoutes,
  sumStatus,
  sumReferrers,
  sumBrowsers,
  sumBots,
];

const KNOWN = new Map<string, Summary | SummaryGroup>(
  [...STANDARD_SUMMARIES, sumBasic].flatMap((known) => [
    [known.name, known],
    [known.title, known],
  ]),
);

/** The standard summary or group with that name: `urls` or `sumUrls`. */
export function known(name: string): Summary | SummaryGroup | undefined {
  return KNOWN.get(name);
}

/** The summaries behind `hooks`; names may be given as `urls` or `sumUrls`. Throws for what is unknown. */
export function summariesOf(hooks: readonly unknown[]): Summary[] {
  return resolveSummaries(hooks, KNOWN);
}
