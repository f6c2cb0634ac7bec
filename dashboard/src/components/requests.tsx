import { useEffect, useState } from 'preact/hooks';
import { ApiError, fetchJson } from '../api/client.ts';
import { pathOf } from '../api/paths.ts';
import type { RecordsResult } from '../api/types.ts';
import { useQuery } from '../api/use-query.ts';
import { usePage } from '../state/context.ts';
import { ExpiredNote } from './coverage-note.tsx';
import { Downloads } from './downloads.tsx';
import { Icon } from './icons.tsx';
import { Problem } from './problem.tsx';
import { RequestTable } from './request-table.tsx';
import { BoneRows } from './skeleton.tsx';

const ROWS = 25;

interface Older {
  /** Path of the query whose records they follow. */
  path: string;
  results: RecordsResult[];
}

/** Latest requests, with a button that loads earlier ones. */
export function Requests() {
  const { view, change, tick } = usePage();
  const path = pathOf('records', view, { limit: ROWS });
  const [older, setOlder] = useState<Older>({ path: '', results: [] });
  const [failure, setFailure] = useState<ApiError>();
  const [isBusy, setIsBusy] = useState(false);
  const more = older.path === path ? older.results : [];
  // Pages loaded below continue from these rows, so the rows must not change.
  const first = useQuery<RecordsResult>(view.requests ? path : null, more.length > 0 ? 0 : tick);
  const pages = first.data ? [first.data, ...more] : [];
  const next = pages.at(-1)?.next ?? null;

  useEffect(() => setFailure(undefined), [path]);
  const loadOlder = async () => {
    setIsBusy(true);
    setFailure(undefined);
    try {
      const result = await fetchJson<RecordsResult>(pathOf('records', view, { limit: ROWS, after: next }));
      setOlder({ path, results: [...more, result] });
    } catch (error) {
      setFailure(error instanceof ApiError ? error : new ApiError(String(error)));
    } finally {
      setIsBusy(false);
    }
  };

  return (
    <section class="card requests" aria-labelledby="requests">
      <div class="panel-head">
        <h2 id="requests">
          <button
            type="button"
            class="fold"
            aria-expanded={view.requests}
            onClick={() => change((now) => ({ ...now, requests: !now.requests }))}
          >
            <Icon name={view.requests ? 'down' : 'right'} /> Latest requests
          </button>
        </h2>
        <div class="links">
          <Downloads path={pathOf('records', view)} />
        </div>
      </div>
      {view.requests &&
        (first.error ? (
          <Problem error={first.error} onRetry={first.retry} />
        ) : pages.length === 0 ? (
          <BoneRows count={10} />
        ) : (
          <div class={first.isLoading ? 'stale' : ''}>
            <RequestTable pages={pages} />
            {next === null && <ExpiredNote expired={pages.at(-1)!.expired} />}
            {failure && <Problem error={failure} onRetry={loadOlder} />}
            {next !== null && !failure && (
              <button type="button" class="button older" disabled={isBusy} onClick={loadOlder}>
                {isBusy ? 'Loading…' : 'Load older'}
              </button>
            )}
          </div>
        ))}
    </section>
  );
}
