import { describe, expect, test } from 'vitest';
import { tabLabel } from '../../dashboard/src/components/panel-list.ts';
import * as api from '../../src/index.ts';
import { headingOf } from '../../src/report/labels.ts';
import { known, STANDARD_SUMMARIES, sumBasic, summariesOf, sumStatus } from '../../src/summaries/standard.ts';

// Databases contain the names; apps and queries use names and titles.
test('the standard summaries have these names, titles and columns', () => {
  expect(STANDARD_SUMMARIES.map(({ name, title, column }) => [name, title, column])).toEqual([
    ['urls', 'sumUrls', 'urlKey'],
    ['remotes', 'sumRemotes', 'remoteAddr'],
    ['user-agents', 'sumUserAgents', 'agent'],
    ['languages', 'sumLanguages', 'language'],
    ['server', 'sumServer', 'serverName'],
    ['visitors', 'sumVisitors', 'visitor'],
    ['geo', 'sumGeo', 'country'],
    ['routes', 'sumRoutes', 'route'],
    ['status', 'sumStatus', 'state'],
    ['referrers', 'sumReferrers', 'referrer'],
    ['browsers', 'sumBrowsers', 'browser'],
    ['bots', 'sumBots', 'botName'],
    ['platforms', 'sumPlatforms', 'platform'],
    ['methods', 'sumMethods', 'method'],
    ['protocols', 'sumProtocols', 'protocol'],
    ['users', 'sumUsers', 'username'],
    ['paths', 'sumPaths', 'path'],
    ['hosts', 'sumHosts', 'referrerHost'],
    ['campaigns', 'sumCampaigns', 'campaign'],
    ['devices', 'sumDevices', 'device'],
    ['not-found', 'sumNotFound', 'notFound'],
    ['classes', 'sumClasses', 'class'],
    ['pages', 'sumPages', 'page'],
    ['api', 'sumApi', 'api'],
    ['assets', 'sumAssets', 'asset'],
  ]);
});

test('the names and titles of summaries and of their group are known', () => {
  for (const summary of [...STANDARD_SUMMARIES, sumBasic]) {
    expect([known(summary.name), known(summary.title)]).toEqual([summary, summary]);
  }
  expect(known('nothing')).toBe(undefined);
  expect([sumBasic.name, sumBasic.title]).toEqual(['basic', 'sumBasic']);
  expect(summariesOf(['sumStatus', 'basic']).map(({ name }) => name)).toEqual([
    'status',
    'urls',
    'remotes',
    'user-agents',
    'languages',
    'server',
  ]);
  expect(summariesOf([sumStatus])).toEqual([sumStatus]);
});

describe.each(STANDARD_SUMMARIES)('standard summary $title', (summary) => {
  const { name, title } = summary;

  test('is exported under its title', () => {
    expect(api).toHaveProperty(title, summary);
  });

  test('has a heading in the report', () => {
    expect(headingOf(name).title).not.toBe(name);
    expect(headingOf(name).key).not.toBe('Key');
  });

  test('has a tab on the dashboard', () => {
    expect(tabLabel(name)).not.toBe(name);
  });
});
