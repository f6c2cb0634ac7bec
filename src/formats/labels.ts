/** Names that a person reads: the same on the dashboard, in reports and on the command line. */

/** Labels of the measures and of the columns derived from them. */
export const MEASURE_LABELS = {
  hits: 'Hits',
  visitors: 'Visitors',
  transfer: 'Transfer',
  errors: 'Errors',
  errorRate: 'Error rate',
  /** Duration of all requests together. */
  total: 'Total time',
  average: 'Avg. response time',
  /** Duration of a single request. */
  duration: 'Duration',
  bots: 'Bots',
  share: 'Share',
  change: 'Change',
} as const;

/** Titles of the panels that combine several measures. */
export const PANEL_LABELS = {
  performance: 'Performance',
  errors: 'Errors',
} as const;

/** Labels of the parts of a storage. */
export const PART_LABELS = {
  records: 'Records',
  hour: 'Hours',
  day: 'Days',
  month: 'Months',
  texts: 'Texts',
} as const;

export interface SummaryLabels {
  /** Title of the summary. */
  title: string;
  /** Name of one of its keys. */
  key: string;
  /** Label for the requests without a key. */
  none: string;
}

const labels = (title: string, key: string, none = 'Unknown'): SummaryLabels => ({ title, key, none });

/** Labels of the standard summaries, by name. */
export const SUMMARY_LABELS: ReadonlyMap<string, SummaryLabels> = new Map(
  Object.entries({
    urls: labels('URLs', 'URL', 'No URL'),
    remotes: labels('IP addresses', 'IP address'),
    'user-agents': labels('User agents', 'User agent'),
    languages: labels('Languages', 'Language'),
    server: labels('Servers', 'Server'),
    visitors: labels('Visitors', 'Visitor', 'Not identified'),
    geo: labels('Countries', 'Country'),
    routes: labels('Routes', 'Route', 'No route'),
    status: labels('Status codes', 'Status code'),
    referrers: labels('Referrers', 'Referrer', 'Direct'),
    browsers: labels('Browsers', 'Browser'),
    bots: labels('Bots', 'Bot', 'People'),
    platforms: labels('Platforms', 'Platform'),
    methods: labels('Methods', 'Method'),
    protocols: labels('Protocols', 'Protocol'),
    users: labels('Users', 'User', 'No user name'),
    paths: labels('Paths', 'Path'),
    hosts: labels('Referring hosts', 'Host', 'Direct'),
    campaigns: labels('Campaigns', 'Campaign', 'No campaign'),
    devices: labels('Devices', 'Device'),
    'not-found': labels('Not found', 'URL', 'Found'),
    classes: labels('Classes', 'Class'),
    pages: labels('Pages', 'Page', 'Other requests'),
    api: labels('API', 'API path', 'Other requests'),
    assets: labels('Assets', 'Asset', 'Other requests'),
  }),
);

/** Label for the requests whose key had no room in the budget of its summary: the key `''`. */
export const OVER_BUDGET = '(over key budget)';
/** Explains that label. */
export const BUDGET_NOTE = `${OVER_BUDGET}: requests whose key had no room in the summary (storage option maxKeys).`;

/** Returns a key as people read it, except that it is `null` for the requests without one. */
export function keyLabel(key: string | null): string | null {
  return key === '' ? OVER_BUDGET : key;
}

/** Label for the requests without a key in a custom summary. */
export const NO_KEY = '(none)';
