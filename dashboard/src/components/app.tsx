import { useEffect, useState } from 'preact/hooks';
import { pathOf } from '../api/paths.ts';
import type { SiteInfo, TotalsResult } from '../api/types.ts';
import { useLive } from '../api/use-live.ts';
import { useQuery } from '../api/use-query.ts';
import { PageContext } from '../state/context.ts';
import { datesOf, todayIn } from '../state/ranges.ts';
import { useTheme } from '../state/theme.ts';
import { useView } from '../state/use-view.ts';
import { DEFAULT_VIEW } from '../state/view.ts';
import { Empty } from './empty.tsx';
import { Footer } from './footer.tsx';
import { Header } from './header.tsx';
import { Main } from './main-part.tsx';
import { Problem } from './problem.tsx';
import { SignIn } from './sign-in.tsx';
import { Skeleton } from './skeleton.tsx';

/** The page: header, then the site's usage. */
export function App() {
  const [view, change] = useView();
  const theme = useTheme();
  const [isLive, setIsLive] = useState(true);
  const site = useQuery<SiteInfo>(
    `site${view.site === null ? '' : `?${new URLSearchParams({ site: view.site })}`}`,
  );
  const isKnown = site.data !== undefined && !site.error;
  const live = useLive(isLive && isKnown);
  const [hasAny, setHasAny] = useState<boolean>();
  const ever = useQuery<TotalsResult>(
    isKnown && !hasAny ? pathOf('totals', { ...DEFAULT_VIEW, site: view.site, range: 'all' }) : null,
    live.tick,
  );
  useEffect(() => {
    if (ever.data) setHasAny(ever.data.totals.hits > 0);
  }, [ever.data]);
  const today = todayIn(site.data?.timeZone ?? 'UTC');
  const isOpen = (datesOf(view.range, today)?.to ?? today) >= today;

  useEffect(() => {
    if (site.data) document.title = `${site.data.site} · usage`;
  }, [site.data]);

  const error = site.error ?? (ever.error?.needsToken ? ever.error : undefined);
  if (error?.needsToken) return <SignIn hint={error.message} onDone={() => location.reload()} />;
  if (site.error) {
    return (
      <main class="page alone">
        <h1>Usage</h1>
        <Problem error={site.error} onRetry={site.retry} />
      </main>
    );
  }
  if (!site.data) return <Skeleton />;
  const status = live.status === undefined ? site.data.status : live.status;
  return (
    <PageContext.Provider value={{ site: site.data, view, change, tick: isOpen ? live.tick : 0 }}>
      <Header
        live={live.state}
        isLive={isLive}
        onLive={setIsLive}
        status={status}
        theme={theme.theme}
        onTheme={theme.choose}
      />
      <main id="content" class="page" tabIndex={-1}>
        {hasAny === false ? <Empty /> : <Main />}
      </main>
      <Footer version={site.data.version} />
    </PageContext.Provider>
  );
}
