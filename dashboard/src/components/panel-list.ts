import type { SummaryInfo } from '../api/types.ts';

export interface Tab {
  summary: string;
  label: string;
  /** Hook that stores the summary. */
  hook: string;
}

export interface PanelInfo {
  name: string;
  title: string;
  tabs: readonly Tab[];
}

const tab = (summary: string, label: string, hook: string): Tab => ({ summary, label, hook });

const PANELS: readonly PanelInfo[] = [
  {
    name: 'pages',
    title: 'Pages',
    tabs: [tab('urls', 'URLs', 'sumUrls'), tab('routes', 'Routes', 'sumRoutes')],
  },
  { name: 'sources', title: 'Sources', tabs: [tab('referrers', 'Referrers', 'sumReferrers')] },
  {
    name: 'places',
    title: 'Places',
    tabs: [tab('geo', 'Countries', 'sumGeo'), tab('languages', 'Languages', 'sumLanguages')],
  },
  {
    name: 'clients',
    title: 'Clients',
    tabs: [
      tab('browsers', 'Browsers', 'sumBrowsers'),
      tab('user-agents', 'User agents', 'sumUserAgents'),
      tab('bots', 'Bots', 'sumBots'),
    ],
  },
  {
    name: 'addresses',
    title: 'Addresses',
    tabs: [tab('remotes', 'Addresses', 'sumRemotes'), tab('visitors', 'Visitors', 'sumVisitors')],
  },
  {
    name: 'answers',
    title: 'Answers',
    tabs: [tab('status', 'Status', 'sumStatus'), tab('server', 'Servers', 'sumServer')],
  },
];

/**
 * Returns the panels of a site, each with the tabs of the kept summaries. A panel without any shows how to
 * keep them.
 */
export function panelsOf(summaries: readonly SummaryInfo[]): PanelInfo[] {
  const names = new Set(summaries.map(({ name }) => name));
  const known = PANELS.map((panel) => ({
    ...panel,
    tabs: panel.tabs.filter(({ summary }) => names.has(summary)),
  }));
  const own = summaries.filter((summary) => summary.custom).map(({ name }) => tab(name, name, name));
  return own.length === 0 ? known : [...known, { name: 'own', title: 'Own', tabs: own }];
}

/** Returns all tabs that a panel can have. */
export function allTabs(name: string): readonly Tab[] {
  return PANELS.find((panel) => panel.name === name)?.tabs ?? [];
}

/** Returns the display name of a summary. */
export function tabLabel(summary: string): string {
  return PANELS.flatMap(({ tabs }) => tabs).find((each) => each.summary === summary)?.label ?? summary;
}
