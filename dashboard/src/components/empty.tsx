import { usePage } from '../state/context.ts';

/** Message shown while nothing has been stored. */
export function Empty() {
  const { site } = usePage();
  if (site.status === null) {
    return (
      <section class="card empty" aria-labelledby="empty">
        <h2 id="empty">No data</h2>
        <p>
          The storage has no requests of the site “{site.site}”. Check that <code>--site</code> equals the
          option <code>site</code> of the app.
        </p>
        <p class="muted">New requests appear automatically.</p>
      </section>
    );
  }
  return (
    <section class="card empty" aria-labelledby="empty">
      <h2 id="empty">No data yet</h2>
      <p>
        Open any page of your app{site.site === 'default' ? '' : ` “${site.site}”`}. Its request appears here
        within two seconds.
      </p>
      <p>Or send a request from a terminal:</p>
      <pre>
        <code>curl -o /dev/null {location.origin}/</code>
      </pre>
      <p class="muted">
        If nothing appears, check that <code>new TrackUsage(app, …)</code> is called before the routes are
        added, and that <code>usage.status()</code> reports no error.
      </p>
    </section>
  );
}
