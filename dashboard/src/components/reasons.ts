import type { SiteInfo } from '../api/types.ts';
import type { View } from '../state/view.ts';

const NO_COLUMN = 'Keys of custom summaries are not stored in the records, so they cannot be filtered.';

/** Returns the reason why the page cannot be filtered by the keys of a summary, or `null` if it can. */
export function whyNoFilter(site: SiteInfo, summary: string): string | null {
  return site.summaries.find(({ name }) => name === summary)?.filter ? null : NO_COLUMN;
}

/** Returns the reason why a summary has no result while the page is filtered or limited to people or bots, or `null` if it has one. */
export function whyNoResult(site: SiteInfo, view: View, summary: string): string | null {
  return view.filters.length === 0 && view.bots === 'include' ? null : whyNoFilter(site, summary);
}
