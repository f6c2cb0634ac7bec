import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { comparedPathOf, downloadOf, pathOf } from '../../dashboard/src/api/paths.ts';
import { datesOf, neighborOf, todayIn } from '../../dashboard/src/state/ranges.ts';
import { KEYS, RANGE_KEYS, viewAfter } from '../../dashboard/src/state/shortcuts.ts';
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
  range: fc.constantFrom('today', 'last-month', 'all', { from: '2026-01-01', to: '2026-02-03' }),
  compare: fc.constantFrom(true, false, 'weekdays', 'year', { from: '2025-01-01', to: '2025-02-03' }),
  period: fc.constantFrom(null, 'hour', 'day', 'month'),
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
        '?range=tomorrow&measure=luck&from=2026-1-1&to=x&filter=:&pages.page=-1&pages.order=name&constructor.page=2',
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
    expect(comparedPathOf('totals', view, { search: undefined })).toBe(
      'totals?range=30d&filter=urls%3Ahttp%3A%2F%2Fa%2F%3Fb%3Dc%26d&filter=bots&compare=true',
    );
    expect(comparedPathOf('totals', { ...DEFAULT_VIEW, compare: false })).toBe('totals?range=30d');
    const custom: View = { ...DEFAULT_VIEW, compare: { from: '2025-01-01', to: '2025-01-31' } };
    expect(comparedPathOf('totals', custom)).toBe(
      'totals?range=30d&compareFrom=2025-01-01&compareTo=2025-01-31',
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

describe('neighbors of a range', () => {
  const TODAY = '2026-03-15';
  test.each([
    ['today', 'yesterday', null],
    ['yesterday', { from: '2026-03-13', to: '2026-03-13' }, 'today'],
    ['7d', { from: '2026-03-02', to: '2026-03-08' }, null],
    [{ from: '2026-03-02', to: '2026-03-08' }, { from: '2026-02-23', to: '2026-03-01' }, '7d'],
    ['month', 'last-month', null],
    ['last-month', { from: '2026-01-01', to: '2026-01-31' }, 'month'],
    ['year', { from: '2025-01-01', to: '2025-12-31' }, null],
    [{ from: '2025-01-01', to: '2025-12-31' }, { from: '2024-01-01', to: '2024-12-31' }, 'year'],
    ['12mo', { from: '2024-04-01', to: '2025-03-31' }, null],
    [{ from: '2026-02-01', to: '2026-02-28' }, { from: '2026-01-01', to: '2026-01-31' }, 'month'],
    ['1h', null, null],
    ['24h', null, null],
    ['all', null, null],
  ] as const)('%o', (range, before, after) => {
    expect(neighborOf(range, -1, TODAY)).toEqual(before);
    expect(neighborOf(range, 1, TODAY)).toEqual(after);
  });

  test('dates of months and years extend to their end', () => {
    expect(datesOf('month', '2028-02-10')).toEqual({ from: '2028-02-01', to: '2028-02-29' });
    expect(datesOf('12mo', '2026-12-31')).toEqual({ from: '2026-01-01', to: '2026-12-31' });
    expect(todayIn('Asia/Tokyo', Date.parse('2026-12-31T15:00:00Z'))).toBe('2027-01-01');
  });
});

describe('keyboard shortcuts', () => {
  const NOW = Date.parse('2026-03-15T12:00:00Z');
  const pressed = (key: string, view: View = DEFAULT_VIEW) => viewAfter(key, view, 'UTC', NOW);

  test('each key has one meaning', () => {
    const keys = [...Object.keys(KEYS), ...Object.values(RANGE_KEYS)];
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('change the view', () => {
    expect(pressed('d')?.range).toBe('today');
    expect(pressed('p')?.range).toEqual({ from: '2026-01-15', to: '2026-02-13' });
    expect(pressed('n')).toBeUndefined();
    expect(pressed('c')?.compare).toBe(false);
    expect(pressed('c', { ...DEFAULT_VIEW, compare: false })?.compare).toBe(true);
    expect(pressed('b')?.bots).toBe('exclude');
    expect(pressed('b', { ...DEFAULT_VIEW, bots: 'only' })?.bots).toBe('include');
    expect(pressed('x')).toBeUndefined();
    expect(pressed('x', withFilter(DEFAULT_VIEW, { summary: 'geo', key: 'DE' }))?.filters).toEqual([]);
    expect(pressed('z')).toBeUndefined();
  });

  test('another range has buckets that suit it', () => {
    expect(pressed('y', { ...DEFAULT_VIEW, period: 'hour' })?.period).toBeNull();
  });
});
