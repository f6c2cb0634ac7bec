import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { downloadOf, pathOf } from '../../dashboard/src/api/paths.ts';
import {
  DEFAULT_PANEL,
  DEFAULT_VIEW,
  MEASURE_IDS,
  parseView,
  searchOf,
  type View,
  withFilter,
  withoutFilter,
  withPanel,
} from '../../dashboard/src/state/view.ts';

const word = fc.string({ minLength: 1, unit: 'binary' }).filter((text) => text.isWellFormed());
const views: fc.Arbitrary<View> = fc.record({
  site: fc.option(word),
  range: fc.constantFrom('today', '12mo', 'all', { from: '2026-01-01', to: '2026-02-03' }),
  compare: fc.boolean(),
  measure: fc.constantFrom(...MEASURE_IDS),
  bots: fc.constantFrom('include', 'exclude', 'only'),
  filters: fc.uniqueArray(
    fc.record({
      summary: fc.constantFrom('urls', 'geo', 'user-agents'),
      key: fc.option(fc.oneof(word, fc.constant(''))),
    }),
    { selector: ({ summary }) => summary },
  ),
  table: fc.boolean(),
  requests: fc.boolean(),
  panels: fc.dictionary(
    fc.constantFrom('pages', 'locations', 'custom'),
    fc
      .record({
        tab: fc.option(word),
        order: fc.constantFrom('hits', 'transfer', 'average'),
        search: fc.oneof(fc.constant(''), word),
        page: fc.integer({ min: 1, max: 1000 }),
      })
      .filter((panel) => JSON.stringify(panel) !== JSON.stringify(DEFAULT_PANEL)),
    { noNullPrototype: true },
  ),
  open: fc.option(fc.constantFrom('pages', 'custom')),
  key: fc.option(fc.option(fc.oneof(word, fc.constant(''))), { nil: undefined }),
}) as fc.Arbitrary<View>;

describe('view in a URL', () => {
  test('the default view is an empty query, and vice versa', () => {
    expect(searchOf(DEFAULT_VIEW)).toBe('');
    expect(parseView('')).toEqual(DEFAULT_VIEW);
  });

  test('is parsed as it was formatted', () => {
    fc.assert(
      fc.property(views, (view) => {
        expect(parseView(searchOf(view))).toEqual(view);
      }),
    );
  });

  test('any query is a valid view', () => {
    fc.assert(fc.property(fc.webQueryParameters(), (query) => void searchOf(parseView(query))));
    expect(
      parseView(
        '?range=yesterday&measure=luck&from=2026-1-1&to=x&filter=:&pages.page=-1&pages.order=name&constructor.page=2',
      ),
    ).toEqual({ ...DEFAULT_VIEW, panels: { pages: DEFAULT_PANEL } });
    expect(parseView('?from=2026-02-01&to=2026-01-01').range).toBe('30d');
  });
});

describe('filters', () => {
  test('have one key per summary, and reset the panels to the first page', () => {
    const paged = withPanel(DEFAULT_VIEW, 'pages', { page: 3, search: 'a' });
    const one = withFilter(paged, { summary: 'geo', key: 'DE' });
    const other = withFilter(one, { summary: 'geo', key: null });
    expect(other.filters).toEqual([{ summary: 'geo', key: null }]);
    expect(other.panels.pages).toEqual({ ...DEFAULT_PANEL, search: 'a' });
    expect(withoutFilter(other, 'geo').filters).toEqual([]);
  });
});

describe('API queries', () => {
  test('contain the range and the filters', () => {
    const view = withFilter(withFilter(DEFAULT_VIEW, { summary: 'urls', key: 'http://a/?b=c&d' }), {
      summary: 'bots',
      key: null,
    });
    expect(pathOf('totals', view, { compare: true, search: undefined })).toBe(
      'totals?range=30d&filter=urls%3Ahttp%3A%2F%2Fa%2F%3Fb%3Dc%26d&filter=bots&compare=true',
    );
    expect(pathOf('records', { ...DEFAULT_VIEW, bots: 'exclude' })).toBe('records?range=30d&bots=exclude');
    const days: View = { ...DEFAULT_VIEW, site: 'shop', range: { from: '2026-01-01', to: '2026-01-31' } };
    const path = pathOf('series', days, { summary: 'geo', key: null });
    expect(path).toBe('series?site=shop&from=2026-01-01&to=2026-01-31&summary=geo');
    expect(pathOf('series', DEFAULT_VIEW, { summary: 'geo', key: '' })).toBe(
      'series?range=30d&summary=geo&key=',
    );
    expect(downloadOf(path, 'csv')).toBe(`api/v1/${path}&format=csv`);
  });
});
