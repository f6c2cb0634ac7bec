/** A row by the columns of SQLStorage. */
export type Row = Readonly<Record<string, unknown>>;

const NOTHING = {
  url: null,
  ua_browser: null,
  ua_language: null,
  ua_platform: null,
  ua_version: null,
  blueprint: null,
  view_args: null,
  status: null,
  remote_addr: null,
  xforwardedfor: null,
  authorization: null,
  ip_info: null,
  path: null,
  speed: null,
  datetime: null,
  username: null,
  track_var: null,
};

/** Rows written by Flask-Track-Usage 2.0.0 around both clock changes in Berlin. Their `datetime` is UTC. */
export const ROWS: readonly Row[] = [
  {
    ...NOTHING,
    url: 'http://localhost/item/7?x=1',
    ua_browser: 'firefox',
    ua_language: 'de',
    ua_platform: 'linux',
    ua_version: '128.0',
    blueprint: 'shop',
    view_args: '{"id": 7}',
    status: 200,
    remote_addr: '10.0.0.1',
    authorization: false,
    ip_info: '{"country": "Germany", "countryCode": "DE", "city": "K\\u00f6ln"}',
    path: '/item/7',
    speed: 0.0125,
    datetime: '2017-03-26 00:30:00',
    track_var: '{"plan": "göld"}',
  },
  {
    ...NOTHING,
    url: 'http://localhost/item/7?x=1',
    // Cut at the column's length.
    view_args: '{"name": "0123456789',
    status: 200,
    remote_addr: '127.0.0.1',
    xforwardedfor: '1.2.3.4',
    authorization: true,
    path: '/item/7',
    speed: 0.000094,
    datetime: '2017-03-26 01:30:05',
    username: 'jörg',
    track_var: '{}',
  },
  {
    ...NOTHING,
    url: 'http://localhost/fail',
    view_args: 'null',
    status: 500,
    path: '/fail',
    datetime: '2017-03-25 22:59:59',
  },
  { ...NOTHING, url: 'http://localhost/b', status: 200, datetime: '2017-10-29 00:30:00' },
  { ...NOTHING, url: 'http://localhost/b', status: 404, datetime: '2017-10-29 01:30:00' },
  NOTHING,
];

/** Records copied from `ROWS` with any engine, in the same order. */
export const RECORDS = [
  {
    date: Date.UTC(2017, 2, 26, 0, 30),
    url: 'http://localhost/item/7?x=1',
    query: { x: '1' },
    routeParams: { id: 7 },
    status: 200,
    duration: 12_500,
    remoteAddr: '10.0.0.1',
    userAgent: { browser: 'firefox', version: '128.0', platform: 'linux' },
    language: 'de',
    country: 'DE',
    geo: { country: 'Germany', city: 'Köln' },
    blueprint: 'shop',
    vars: { plan: 'göld' },
    authorization: false,
  },
  {
    date: Date.UTC(2017, 2, 26, 1, 30, 5),
    routeParams: null,
    duration: 94,
    forwardedFor: '1.2.3.4',
    username: 'jörg',
    authorization: true,
    vars: null,
    userAgent: null,
  },
  { date: Date.UTC(2017, 2, 25, 22, 59, 59), status: 500, duration: 0, routeParams: null },
  { date: Date.UTC(2017, 9, 29, 0, 30), url: 'http://localhost/b' },
  { date: Date.UTC(2017, 9, 29, 1, 30), status: 404 },
  { date: 0, url: '/', path: '/', status: 0, remoteAddr: null, authorization: false, method: '-' },
];

/** Manually computed sums of URLs in Berlin: date, key, hits, errors. */
export const URL_SUMS = {
  hour: [
    ['2017-10-29T02:00:00+01:00', 'http://localhost/b', 1, 0],
    ['2017-10-29T02:00:00+02:00', 'http://localhost/b', 1, 0],
    ['2017-03-26T03:00:00+02:00', 'http://localhost/item/7?x=1', 1, 0],
    ['2017-03-26T01:00:00+01:00', 'http://localhost/item/7?x=1', 1, 0],
    ['2017-03-25T23:00:00+01:00', 'http://localhost/fail', 1, 1],
    ['1970-01-01T01:00:00+01:00', '/', 1, 0],
  ],
  day: [
    ['2017-10-29T00:00:00+02:00', 'http://localhost/b', 2, 0],
    ['2017-03-26T00:00:00+01:00', 'http://localhost/item/7?x=1', 2, 0],
    ['2017-03-25T00:00:00+01:00', 'http://localhost/fail', 1, 1],
    ['1970-01-01T00:00:00+01:00', '/', 1, 0],
  ],
  month: [
    ['2017-10-01T00:00:00+02:00', 'http://localhost/b', 2, 0],
    ['2017-03-01T00:00:00+01:00', 'http://localhost/item/7?x=1', 2, 0],
    ['2017-03-01T00:00:00+01:00', 'http://localhost/fail', 1, 1],
    ['1970-01-01T00:00:00+01:00', '/', 1, 0],
  ],
} as const;

/** `count` visits, a minute after the other, of which every third is to `/0` and so on. */
export function visits(count: number, first = 0): Row[] {
  return Array.from({ length: count }, (_, n) => ({
    url: `http://localhost/${(first + n) % 3}`,
    status: 200,
    datetime: new Date(Date.UTC(2020, 0, 1) + (first + n) * 60_000)
      .toISOString()
      .slice(0, 19)
      .replace('T', ' '),
  }));
}
