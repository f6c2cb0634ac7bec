import { resolveSummaries, type Summary, type SummaryGroup } from './define.ts';

/** URLs as requested, with host and query. */
export const sumUrls: Summary = { name: 'urls', title: 'sumUrls', column: 'urlKey' };

/** Remote addresses. */
export const sumRemotes: Summary = {
  name: 'remotes',
  title: 'sumRemotes',
  column: 'remoteAddr',
};

/** Clients, by the string of their user agent. */
export const sumUserAgents: Summary = {
  name: 'user-agents',
  title: 'sumUserAgents',
  column: 'agent',
};

/** Languages: the preferred one in Accept-Language. */
export const sumLanguages: Summary = {
  name: 'languages',
  title: 'sumLanguages',
  column: 'language',
};

/** The whole server, under its `serverName`, with the distribution of durations. */
export const sumServer: Summary = {
  name: 'server',
  title: 'sumServer',
  column: 'serverName',
  latency: true,
};

/** Visitors by ID; requires the option `visitors`. Requests of unknown visitors and of bots are counted under `null`. */
export const sumVisitors: Summary = {
  name: 'visitors',
  title: 'sumVisitors',
  column: 'visitor',
};

/** Countries by ISO 3166 code; requires a country database (option `geo`) or a service (`freeGeoIp`). */
export const sumGeo: Summary = { name: 'geo', title: 'sumGeo', column: 'country' };

/** Routes: the framework's pattern, for example `/users/:id`, with the distribution of durations. */
export const sumRoutes: Summary = { name: 'routes', title: 'sumRoutes', column: 'route', latency: true };

/** Status codes. */
export const sumStatus: Summary = { name: 'status', title: 'sumStatus', column: 'state' };

/** Referrers; requests without one are counted under `null`. */
export const sumReferrers: Summary = {
  name: 'referrers',
  title: 'sumReferrers',
  column: 'referrer',
};

/** Browsers by name, for example `Firefox`. */
export const sumBrowsers: Summary = {
  name: 'browsers',
  title: 'sumBrowsers',
  column: 'browser',
};

/** Bots by name, for example `Googlebot`. Requests of people are counted under `null`. */
export const sumBots: Summary = { name: 'bots', title: 'sumBots', column: 'botName' };

/** Platforms: the operating system in the User-Agent, for example `Windows`. */
export const sumPlatforms: Summary = { name: 'platforms', title: 'sumPlatforms', column: 'platform' };

/** HTTP methods, for example `GET`. */
export const sumMethods: Summary = { name: 'methods', title: 'sumMethods', column: 'method' };

/** Protocols, for example `HTTP/1.1`. */
export const sumProtocols: Summary = { name: 'protocols', title: 'sumProtocols', column: 'protocol' };

/** Users by name: the result of the option `username`, or the user of Basic credentials. */
export const sumUsers: Summary = { name: 'users', title: 'sumUsers', column: 'username' };

/** Paths: URLs without scheme, host and query. */
export const sumPaths: Summary = { name: 'paths', title: 'sumPaths', column: 'path' };

/** Hosts of referrers, without `www.`. Links within the site are counted under `(internal)`. */
export const sumHosts: Summary = { name: 'hosts', title: 'sumHosts', column: 'referrerHost' };

/** Campaigns: `utm_source`, `utm_medium` and `utm_campaign` of the URL, for example `newsletter / email / spring`. */
export const sumCampaigns: Summary = { name: 'campaigns', title: 'sumCampaigns', column: 'campaign' };

/** Kinds of devices: `desktop`, `mobile`, `tablet`, `tv`, or `bot`. */
export const sumDevices: Summary = { name: 'devices', title: 'sumDevices', column: 'device' };

/** URLs of responses with status 404, under their key in `sumUrls`. Other requests are counted under `null`. */
export const sumNotFound: Summary = { name: 'not-found', title: 'sumNotFound', column: 'notFound' };

/** Classes of requests: `page`, `api` or `asset`. */
export const sumClasses: Summary = { name: 'classes', title: 'sumClasses', column: 'class' };

/** Paths of pages. Other requests are counted under `null`. */
export const sumPages: Summary = { name: 'pages', title: 'sumPages', column: 'page' };

/** Paths of requests for data. Other requests are counted under `null`. */
export const sumApi: Summary = { name: 'api', title: 'sumApi', column: 'api' };

/** Paths of files that pages load. Other requests are counted under `null`. */
export const sumAssets: Summary = { name: 'assets', title: 'sumAssets', column: 'asset' };

/** Group of URLs, remotes, user agents, languages and server. Default of a storage without `hooks`. */
export const sumBasic: SummaryGroup = {
  name: 'basic',
  title: 'sumBasic',
  members: [sumUrls, sumRemotes, sumUserAgents, sumLanguages, sumServer],
};

/** Standard summaries, in the order of the documentation. */
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
  sumPlatforms,
  sumMethods,
  sumProtocols,
  sumUsers,
  sumPaths,
  sumHosts,
  sumCampaigns,
  sumDevices,
  sumNotFound,
  sumClasses,
  sumPages,
  sumApi,
  sumAssets,
];

const KNOWN = new Map<string, Summary | SummaryGroup>(
  [...STANDARD_SUMMARIES, sumBasic].flatMap((known) => [
    [known.name, known],
    [known.title, known],
  ]),
);

/** Returns the standard summary or group with that name: `urls` or `sumUrls`. */
export function known(name: string): Summary | SummaryGroup | undefined {
  return KNOWN.get(name);
}

/** Returns the summaries in `hooks`. Names may be `urls` or `sumUrls`. Throws for unknown ones. */
export function summariesOf(hooks: readonly unknown[]): Summary[] {
  return resolveSummaries(hooks, KNOWN);
}
