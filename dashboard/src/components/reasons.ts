import type { SiteInfo } from '../api/types.ts';
import type { View } from '../state/view.ts';

const OWN = 'These keys are the app’s own and do not stand in the records, so that they cannot be filtered.';

/** Why the page cannot be narrowed to the keys of a summary; `null` where it can. */
export function whyNoFilter(site: SiteInfo, summary: string): string | null {
  return site.summaries.find(({ name }) => name === summary)?.filter ? null : OWN;
}

/** Why a summary has no answer while the page is narrowed; `null` where it has one. */
export function whyNoAnswer(site: SiteInfo, view: View, summary: string): string | null {
  return view.filters.length === 0 ? null : whyNoFilter(site, summary);
}
