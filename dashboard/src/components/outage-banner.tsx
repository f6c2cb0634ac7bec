import { useOutage } from '../api/use-outage.ts';

/** Says that the displayed data is not current, because the server or the storage is not available. */
export function OutageBanner() {
  const { error, succeededAt, retry } = useOutage();
  if (!error) return null;
  return (
    <div class="banner" role="alert">
      <p>
        {error.message}
        {succeededAt !== null && ` The page shows the data of ${timeOf(succeededAt)}.`} Retrying…
      </p>
      <button type="button" class="button" onClick={retry}>
        Retry now
      </button>
    </div>
  );
}

function timeOf(ms: number): string {
  return new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}
