import type { SiteInfo } from '../api/types.ts';
import type { View } from '../state/view.ts';

const OWN = 'These keys are the app’s own and do not stand in the records, so that they cannot be filtered.';

/** Returns the reason why the page cannot be filtered by the keys of a summary, or `null` if it can. */
export function whyNoFilter(site: SiteInfo, summary: string): string | null {
  return site.summaries.find(({ name }) => name === summary)?.filter ? null : OWN;
}

/** Returns the reason why a summary has no result while the page is filtered, or `null` if it has one. */
export function whyNoAnswer(site: SiteInfo, view: View, summary: string): string | null {
  return view.filters.length === 0 ? null : whyNoFilter(site, summary);
}
