import { useEffect, useState } from 'preact/hooks';
import type { SiteInfo } from '../api/types.ts';
import { useLive } from '../api/use-live.ts';
import { useOutage } from '../api/use-outage.ts';
import { useQuery } from '../api/use-query.ts';
import { PageContext } from '../state/context.ts';
import { datesOf, todayIn } from '../state/ranges.ts';
import { useTheme } from '../state/theme.ts';
import { useView } from '../state/use-view.ts';
import { Empty } from './empty.tsx';
import { Footer } from './footer.tsx';
import { Header } from './header.tsx';
import { Main } from './main-part.tsx';
import { OutageBanner } from './outage-banner.tsx';
import { Problem } from './problem.tsx';
import { SignIn } from './sign-in.tsx';
import { Skeleton } from './skeleton.tsx';

/** The page: header, then the site's usage. */
export function App() {
  const [view, change] = useView();
  const theme = useTheme();
  const [isLive, setIsLive] = useState(true);
  const [isKnown, setIsKnown] = useState(false);
  const live = useLive(isLive && isKnown);
  const { error: isOut, signedOut } = useOutage();
  const [isEmpty, setIsEmpty] = useState(true);
  const site = useQuery<SiteInfo>(
    `site${view.site === null ? '' : `?${new URLSearchParams({ site: view.site })}`}`,
    // New data matters only to the first request of a site.
    isEmpty ? live.tick : 0,
  );
  useEffect(() => {
    setIsKnown(site.data !== undefined && !site.error);
    setIsEmpty(site.data?.since === null);
  }, [site.data, site.error]);
  const today = todayIn(site.data?.timeZone ?? 'UTC');
  const isOpen = (datesOf(view.range, today)?.to ?? today) >= today;

  useEffect(() => {
    if (site.data) document.title = `${site.data.site} · usage`;
  }, [site.data]);

  if (signedOut) return <SignIn hint={signedOut.message} onDone={() => location.reload()} />;
  if (site.error) {
    return (
      <main class="page alone">
        <h1>Usage</h1>
        <Problem error={site.error} onRetry={site.retry} />
      </main>
    );
  }
  if (!site.data) {
    return (
      <>
        <OutageBanner />
        <Skeleton />
      </>
    );
  }
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
      <OutageBanner />
      <main id="content" class={`page ${isOut ? 'outdated' : ''}`} tabIndex={-1}>
        {site.data.since === null ? <Empty /> : <Main />}
      </main>
      <Footer version={site.data.version} />
    </PageContext.Provider>
  );
}
