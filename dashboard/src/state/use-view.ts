import { useCallback, useEffect, useState } from 'preact/hooks';
import { parseView, searchOf, type View } from './view.ts';

export type Change = (next: (view: View) => View, how?: 'push' | 'replace') => void;

/** Returns the view in the URL, and functions that change it. The back button undoes each pushed change. */
export function useView(): [View, Change] {
  const [view, setView] = useState(() => parseView(location.search));
  useEffect(() => {
    const onBack = () => setView(parseView(location.search));
    addEventListener('popstate', onBack);
    return () => removeEventListener('popstate', onBack);
  }, []);
  const change = useCallback<Change>((next, how = 'push') => {
    const changed = next(parseView(location.search));
    const url = location.pathname + searchOf(changed);
    if (url === location.pathname + location.search) return;
    history[how === 'push' ? 'pushState' : 'replaceState'](null, '', url);
    setView(changed);
  }, []);
  return [view, change];
}
