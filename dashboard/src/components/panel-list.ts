import type { SummaryInfo } from '../api/types.ts';

export interface Tab {
  summary: string;
  label: string;
  /** The hook that keeps it. */
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

/** The panels of a site, each with the tabs that are kept; those without any say how to keep them. */
export function panelsOf(summaries: readonly SummaryInfo[]): PanelInfo[] {
  const names = new Set(summaries.map(({ name }) => name));
  const known = PANELS.map((panel) => ({
    ...panel,
    tabs: panel.tabs.filter(({ summary }) => names.has(summary)),
  }));
  const own = summaries.filter((summary) => summary.own).map(({ name }) => tab(name, name, name));
  return own.length === 0 ? known : [...known, { name: 'own', title: 'Own', tabs: own }];
}

/** What a panel would show if it were kept. */
export function allTabs(name: string): readonly Tab[] {
  return PANELS.find((panel) => panel.name === name)?.tabs ?? [];
}

/** How a summary is called. */
export function tabLabel(summary: string): string {
  return PANELS.flatMap(({ tabs }) => tabs).find((each) => each.summary === summary)?.label ?? summary;
}
