import { usePage } from '../state/context.ts';

/** Nothing was ever stored. */
export function Empty() {
  const { site } = usePage();
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
