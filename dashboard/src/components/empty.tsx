import { usePage } from '../state/context.ts';

/** Message shown while nothing has been stored. */
export function Empty() {
  const { site } = usePage();
  if (site.status === null) {
    return (
      <section class="card empty" aria-labelledby="empty">
        <h2 id="empty">Nothing is stored here</h2>
        <p>
          The storage has no requests of the site “{site.site}”. Look at the name: <code>--site</code> is what
          the app has as its option <code>site</code>.
        </p>
        <p class="muted">What is stored from now on shows up by itself.</p>
      </section>
    );
  }
  return (
    <section class="card empty" aria-labelledby="empty">
      <h2 id="empty">Nothing is stored yet</h2>
      <p>
        The page is ready. Open any page of your app{site.site === 'default' ? '' : ` “${site.site}”`}, and
        its request shows up here within a second or two.
      </p>
      <p>From a terminal:</p>
      <pre>
        <code>curl -o /dev/null {location.origin}/</code>
      </pre>
      <p class="muted">
        Is the app running already? Then look whether it hands its app to <code>new TrackUsage(app, …)</code>{' '}
        before its routes, and whether <code>usage.status()</code> reports an error.
      </p>
    </section>
  );
}
