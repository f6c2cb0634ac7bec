import { SUMMARY_LABELS } from '../../../src/formats/labels.ts';
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

const tab = (summary: string, hook: string): Tab => ({
  summary,
  label: SUMMARY_LABELS.get(summary)?.title ?? summary,
  hook,
});

const PANELS: readonly PanelInfo[] = [
  {
    name: 'pages',
    title: 'Pages',
    tabs: [
      tab('urls', 'sumUrls'),
      tab('paths', 'sumPaths'),
      tab('pages', 'sumPages'),
      tab('api', 'sumApi'),
      tab('assets', 'sumAssets'),
      tab('routes', 'sumRoutes'),
    ],
  },
  {
    name: 'sources',
    title: 'Sources',
    tabs: [tab('referrers', 'sumReferrers'), tab('hosts', 'sumHosts'), tab('campaigns', 'sumCampaigns')],
  },
  {
    name: 'locations',
    title: 'Locations',
    tabs: [tab('geo', 'sumGeo'), tab('languages', 'sumLanguages')],
  },
  {
    name: 'browsers',
    title: 'Browsers',
    tabs: [
      tab('browsers', 'sumBrowsers'),
      tab('platforms', 'sumPlatforms'),
      tab('devices', 'sumDevices'),
      tab('user-agents', 'sumUserAgents'),
      tab('bots', 'sumBots'),
    ],
  },
  {
    name: 'addresses',
    title: 'IP addresses',
    tabs: [tab('remotes', 'sumRemotes'), tab('visitors', 'sumVisitors'), tab('users', 'sumUsers')],
  },
  {
    name: 'responses',
    title: 'Responses',
    tabs: [
      tab('status', 'sumStatus'),
      tab('not-found', 'sumNotFound'),
      tab('methods', 'sumMethods'),
      tab('protocols', 'sumProtocols'),
      tab('classes', 'sumClasses'),
      tab('server', 'sumServer'),
    ],
  },
];

/** Returns the panels of a site, with a tab for each summary that is stored. A panel may have no tabs. */
export function panelsOf(summaries: readonly SummaryInfo[]): PanelInfo[] {
  const names = new Set(summaries.map(({ name }) => name));
  const known = PANELS.map((panel) => ({
    ...panel,
    tabs: panel.tabs.filter(({ summary }) => names.has(summary)),
  }));
  const custom = summaries.filter((summary) => summary.custom).map(({ name }) => tab(name, name));
  return custom.length === 0 ? known : [...known, { name: 'custom', title: 'Custom', tabs: custom }];
}

/** Returns all tabs that a panel can have. */
export function allTabs(name: string): readonly Tab[] {
  return PANELS.find((panel) => panel.name === name)?.tabs ?? [];
}

/** Returns the display name of a summary. */
export function tabLabel(summary: string): string {
  return PANELS.flatMap(({ tabs }) => tabs).find((each) => each.summary === summary)?.label ?? summary;
}
