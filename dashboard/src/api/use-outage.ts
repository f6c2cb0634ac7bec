import { useEffect, useState } from 'preact/hooks';
import { type Outage, outage } from './outage.ts';

/** Returns the outage of the page, and renders again when it changes. */
export function useOutage(): Outage {
  const [, update] = useState(0);
  useEffect(() => outage.subscribe(() => update((count) => count + 1)), []);
  return outage;
}
