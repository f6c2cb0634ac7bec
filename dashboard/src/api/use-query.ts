import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { load } from './batch.ts';
import { ApiError } from './client.ts';
import { outage } from './outage.ts';
import { useOutage } from './use-outage.ts';

export interface QueryState<T> {
  /** Last result, kept until the next one has arrived. */
  data: T | undefined;
  error: ApiError | undefined;
  /** True if a newer result than `data` has been requested. */
  isLoading: boolean;
  retry(): void;
}

/**
 * Queries the API, and again when `path` or `tick` changes. If the server or the storage is not available, the last
 * result is kept, and the query is repeated: see `Outage`.
 * @param path No query is sent while it is `null`.
 * @param tick Counter of new data. If a query is in progress, the next one follows after it.
 */
export function useQuery<T>(path: string | null, tick = 0): QueryState<T> {
  const [state, setState] = useState<{ path: string | null; data?: T; error?: ApiError }>({ path: null });
  const [attempt, setAttempt] = useState(0);
  const [isBusy, setIsBusy] = useState(false);
  const { retries } = useOutage();
  const pending = useRef(false);
  const hasFailed = useRef(false);
  const self = useRef({});
  const requested = useRef({ tick, retries, key: '' });

  const request = useCallback(async (of: string, signal: AbortSignal) => {
    pending.current = true;
    hasFailed.current = false;
    try {
      const data = await load<T>(of, signal);
      if (signal.aborted) return;
      setState({ path: of, data });
      outage.succeeded(self.current);
    } catch (cause) {
      if (signal.aborted) return;
      const error = cause instanceof ApiError ? cause : new ApiError(String(cause), 500);
      hasFailed.current = outage.failed(self.current, error);
      if (!hasFailed.current) setState((before) => ({ ...before, path: of, error }));
    } finally {
      if (!signal.aborted) {
        pending.current = false;
        setIsBusy(false);
      }
    }
  }, []);

  const controller = useRef<AbortController | undefined>(undefined);
  const key = `${attempt} ${path}`;
  useEffect(() => {
    if (path === null) {
      outage.settled(self.current);
      return;
    }
    const last = requested.current;
    const isSame = last.key === key;
    const isRetry = hasFailed.current && last.retries !== retries;
    if (isSame && !isRetry && (last.tick === tick || pending.current)) return;
    requested.current = { tick, retries, key };
    controller.current?.abort();
    controller.current = new AbortController();
    if (!isSame) setIsBusy(true);
    void request(path, controller.current.signal);
  }, [path, key, tick, retries, state, request]);
  useEffect(
    () => () => {
      controller.current?.abort();
      outage.settled(self.current);
    },
    [],
  );

  const retry = useCallback(() => setAttempt((count) => count + 1), []);
  return {
    data: state.data,
    error: state.error,
    isLoading: isBusy || (path !== null && state.path !== path),
    retry,
  };
}
