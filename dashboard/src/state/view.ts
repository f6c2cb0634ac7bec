import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { Bots, Order, Period, RangeName } from '../api/types.ts';

export const RANGE_LABELS = {
  '1h': 'Last hour',
  '24h': 'Last 24 hours',
  today: 'Today',
  yesterday: 'Yesterday',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
  '90d': 'Last 90 days',
  month: 'This month',
  'last-month': 'Last month',
  year: 'This year',
  '12mo': 'Last 12 months',
  all: 'All time',
} as const satisfies Record<RangeName, string>;
export const BOTS_LABELS = {
  include: 'All',
  exclude: 'People',
  only: 'Bots',
} as const satisfies Record<Bots, string>;
/** Periods with which a range can be compared, by their names in the URL. */
export const COMPARE_LABELS = {
  true: 'Previous period',
  weekdays: 'Previous period, same weekdays',
  year: 'Previous year',
  false: 'No comparison',
} as const;
export const PERIOD_LABELS = { hour: 'Hour', day: 'Day', month: 'Month' } as const satisfies Record<
  Period,
  string
>;
export const MEASURE_IDS = ['hits', 'visitors', 'transfer', 'errors', 'average', 'bots'] as const;
export type MeasureId = (typeof MEASURE_IDS)[number];
export const ORDER_LABELS = {
  hits: MEASURE_LABELS.hits,
  transfer: MEASURE_LABELS.transfer,
  errors: MEASURE_LABELS.errors,
  duration: MEASURE_LABELS.total,
  average: MEASURE_LABELS.average,
} as const satisfies Record<Order, string>;

/** Dates in the site's calendar, both inclusive. */
export interface Dates {
  from: string;
  to: string;
}

/** Period with which the range is compared, as in the API. */
export type Compare = boolean | 'weekdays' | 'year' | Dates;

export interface Filter {
  summary: string;
  key: string | null;
}

/** State of one panel. */
export interface PanelView {
  /** Selected summary; `null` for the first. */
  tab: string | null;
  order: Order;
  search: string;
  page: number;
}

/** State of the page, as encoded in the URL. */
export interface View {
  site: string | null;
  range: RangeName | Dates;
  compare: Compare;
  measure: MeasureId;
  /** Length of the chart's buckets; `null` for one that suits the range. */
  period: Period | null;
  /** Requests that are counted. */
  bots: Bots;
  filters: readonly Filter[];
  /** True if the chart is shown as a table. */
  table: boolean;
  /** True if the latest requests are shown. */
  requests: boolean;
  panels: Readonly<Record<string, PanelView>>;
  /** Expanded panel; `null` for none. */
  open: string | null;
  /** Key whose trend is shown in the expanded panel; `undefined` for none. */
  key: string | null | undefined;
}

export const DEFAULT_PANEL: PanelView = { tab: null, order: 'hits', search: '', page: 1 };
export const DEFAULT_VIEW: View = {
  site: null,
  range: '30d',
  compare: true,
  measure: 'hits',
  period: null,
  bots: 'include',
  filters: [],
  table: false,
  requests: true,
  panels: {},
  open: null,
  key: undefined,
};

const DATE = /^\d{4}-\d\d-\d\d$/;

export function isDates(compare: Compare): compare is Dates {
  return typeof compare === 'object';
}

/** Returns the name of a comparison in the URL. */
export function nameOfCompare(compare: Exclude<Compare, Dates>): keyof typeof COMPARE_LABELS {
  return String(compare) as keyof typeof COMPARE_LABELS;
}

export function isNamed(range: View['range']): range is RangeName {
  return typeof range === 'string';
}

/** Parses a query string. Invalid values get their defaults. */
export function parseView(search: string): View {
  const query = new URLSearchParams(search);
  const range = query.get('range');
  const panels: Record<string, PanelView> = {};
  for (const [name, value] of query) {
    const [, panel, part] = /^(\w+)\.(tab|order|search|page)$/.exec(name) ?? [];
    if (panel === undefined || Object.hasOwn(Object.prototype, panel)) continue;
    panels[panel] = { ...(panels[panel] ?? DEFAULT_PANEL), ...panelPart(part!, value) };
  }
  return {
    site: query.get('site'),
    range:
      datesIn(query, 'from', 'to') ??
      oneOf(range, Object.keys(RANGE_LABELS) as RangeName[], DEFAULT_VIEW.range as RangeName),
    compare: datesIn(query, 'compareFrom', 'compareTo') ?? compareIn(query.get('compare')),
    measure: oneOf(query.get('measure'), MEASURE_IDS, DEFAULT_VIEW.measure),
    period: oneOf<Period | ''>(query.get('period'), Object.keys(PERIOD_LABELS) as Period[], '') || null,
    bots: oneOf(query.get('bots'), Object.keys(BOTS_LABELS) as Bots[], DEFAULT_VIEW.bots),
    filters: filtersOf(query.getAll('filter')),
    table: query.get('table') === 'true',
    requests: query.get('requests') !== 'false',
    panels,
    open: query.get('open'),
    key: query.get('key') ?? (query.get('nokey') === 'true' ? null : undefined),
  };
}

/** Returns the text of a filter, as in the API: a summary alone selects the requests without a key. */
export function filterText(summary: string, key: string | null): string {
  return key === null ? summary : `${summary}:${key}`;
}

/** Returns the query string of a view, `''` for the default view. */
export function searchOf(view: View): string {
  const query = new URLSearchParams();
  if (view.site !== null) query.set('site', view.site);
  if (!isNamed(view.range)) {
    query.set('from', view.range.from);
    query.set('to', view.range.to);
  } else if (view.range !== DEFAULT_VIEW.range) query.set('range', view.range);
  for (const [name, value] of Object.entries(compareParameters(view.compare))) {
    if (value !== 'true') query.set(name, value);
  }
  if (view.period !== null) query.set('period', view.period);
  if (view.measure !== DEFAULT_VIEW.measure) query.set('measure', view.measure);
  if (view.bots !== DEFAULT_VIEW.bots) query.set('bots', view.bots);
  for (const { summary, key } of view.filters) query.append('filter', filterText(summary, key));
  if (view.table) query.set('table', 'true');
  if (!view.requests) query.set('requests', 'false');
  for (const [name, panel] of Object.entries(view.panels)) {
    for (const part of ['tab', 'order', 'search', 'page'] as const) {
      if (panel[part] !== DEFAULT_PANEL[part]) query.set(`${name}.${part}`, String(panel[part]));
    }
  }
  if (view.open !== null) query.set('open', view.open);
  if (view.key === null) query.set('nokey', 'true');
  else if (view.key !== undefined) query.set('key', view.key);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

/** Returns the parameters of a comparison, in the URL and in the API. */
export function compareParameters(compare: Compare): Record<string, string> {
  return isDates(compare)
    ? { compareFrom: compare.from, compareTo: compare.to }
    : { compare: nameOfCompare(compare) };
}

function datesIn(query: URLSearchParams, first: string, last: string): Dates | undefined {
  const [from, to] = [query.get(first) ?? '', query.get(last) ?? ''];
  return DATE.test(from) && DATE.test(to) && from <= to ? { from, to } : undefined;
}

function compareIn(name: string | null): Compare {
  if (name === 'weekdays' || name === 'year') return name;
  return name !== 'false';
}

/** Returns the view of another range. Its chart has buckets that suit the range. */
export function withRange(view: View, range: View['range']): View {
  return { ...firstPages(view), range, period: null };
}

/** Returns the view with an additional filter. A result can have one key per summary. */
export function withFilter(view: View, filter: Filter): View {
  const others = view.filters.filter(({ summary }) => summary !== filter.summary);
  return { ...firstPages(view), filters: [...others, filter] };
}

export function withoutFilter(view: View, summary: string): View {
  return { ...firstPages(view), filters: view.filters.filter((filter) => filter.summary !== summary) };
}

export function withPanel(view: View, name: string, change: Partial<PanelView>): View {
  const panel = { ...(view.panels[name] ?? DEFAULT_PANEL), ...change };
  return { ...view, panels: { ...view.panels, [name]: panel } };
}

/** Returns the view with each panel on its first page, because other queries have other pages. */
export function firstPages(view: View): View {
  const panels = Object.entries(view.panels).map(([name, panel]) => [name, { ...panel, page: 1 }]);
  return { ...view, panels: Object.fromEntries(panels) };
}

function panelPart(part: string, value: string): Partial<PanelView> {
  if (part === 'page') {
    const page = Number(value);
    return Number.isSafeInteger(page) && page >= 1 && page < 1e9 ? { page } : {};
  }
  if (part === 'order') return { order: oneOf(value, Object.keys(ORDER_LABELS) as Order[], 'hits') };
  return { [part]: value };
}

function filtersOf(texts: readonly string[]): Filter[] {
  const found = new Map<string, Filter>();
  for (const text of texts) {
    const [, summary, key] = /^([^:]+)(?::(.*))?$/s.exec(text) ?? [];
    if (summary !== undefined) found.set(summary, { summary, key: key ?? null });
  }
  return [...found.values()];
}

function oneOf<T extends string>(value: string | null, known: readonly T[], otherwise: T): T {
  return known.includes(value as T) ? (value as T) : otherwise;
}
