import { compareParameters, filterText, isNamed, type View } from '../state/view.ts';

type Extra = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Returns the path after `api/v1/` of a query within a view. */
export function pathOf(resource: string, view: View, extra: Extra = {}): string {
  const query = new URLSearchParams();
  if (view.site !== null) query.set('site', view.site);
  if (isNamed(view.range)) query.set('range', view.range);
  else {
    query.set('from', view.range.from);
    query.set('to', view.range.to);
  }
  if (view.bots !== 'include') query.set('bots', view.bots);
  for (const { summary, key } of view.filters) query.append('filter', filterText(summary, key));
  for (const [name, value] of Object.entries(extra)) {
    if (value === undefined || value === null || value === false) continue;
    query.set(name, String(value));
  }
  return `${resource}?${query}`;
}

/** Returns the path of a query that is compared as in the view. */
export function comparedPathOf(resource: string, view: View, extra: Extra = {}): string {
  const compared = view.compare === false ? {} : compareParameters(view.compare);
  return pathOf(resource, view, { ...extra, ...compared });
}

/** Returns the URL of the same query as a download. */
export function downloadOf(path: string, format: 'csv' | 'ndjson'): string {
  return `api/v1/${path}&format=${format}`;
}
