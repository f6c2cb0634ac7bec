import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { SiteInfo } from '../api/types.ts';
import type { Change } from './use-view.ts';
import type { View } from './view.ts';

/** State shared by all parts of the page. */
export interface Page {
  site: SiteInfo;
  view: View;
  change: Change;
  /** Counter of new data within the range. */
  tick: number;
}

export const PageContext = createContext<Page | undefined>(undefined);

export function usePage(): Page {
  return useContext(PageContext)!;
}
