import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { Bots, Order, RangeName } from '../api/types.ts';

export const RANGE_LABELS = {
  today: 'Today',
  '7d': '7 days',
  '30d': '30 days',
  '90d': '90 days',
  month: 'This month',
  '12mo': '12 months',
  all: 'All time',
} as const satisfies Record<RangeName, string>;
export const BOTS_LABELS = {
  include: 'All',
  exclude: 'People',
  only: 'Bots',
} as const satisfies Record<Bots, string>;
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
  compare: boolean;
  measure: MeasureId;
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
  bots: 'include',
  filters: [],
  table: false,
  requests: true,
  panels: {},
  open: null,
  key: undefined,
};

const DATE = /^\d{4}-\d\d-\d\d$/;

export function isNamed(range: View['range']): range is RangeName {
  return typeof range === 'string';
}

/** Parses a query string. Invalid values get their defaults. */
export function parseView(search: string): View {
  const query = new URLSearchParams(search);
  const [from, to] = [query.get('from') ?? '', query.get('to') ?? ''];
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
      DATE.test(from) && DATE.test(to) && from <= to
        ? { from, to }
        : oneOf(range, Object.keys(RANGE_LABELS) as RangeName[], DEFAULT_VIEW.range as RangeName),
    compare: query.get('compare') !== 'false',
    measure: oneOf(query.get('measure'), MEASURE_IDS, DEFAULT_VIEW.measure),
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
  if (!view.compare) query.set('compare', 'false');
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
