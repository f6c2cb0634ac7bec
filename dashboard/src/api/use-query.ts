import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, fetchJson } from './client.ts';

export interface QueryState<T> {
  /** Last result, kept until the next one has arrived. */
  data: T | undefined;
  error: ApiError | undefined;
  /** True if a newer result than `data` has been requested. */
  isLoading: boolean;
  retry(): void;
}

/**
 * Queries the API, and again when `path` or `tick` changes.
 * @param path No query is sent while it is `null`.
 * @param tick Counter of new data. If a query is in progress, the next one follows after it.
 */
export function useQuery<T>(path: string | null, tick = 0): QueryState<T> {
  const [state, setState] = useState<{ path: string | null; data?: T; error?: ApiError }>({ path: null });
  const [attempt, setAttempt] = useState(0);
  const [isBusy, setIsBusy] = useState(false);
  const pending = useRef(false);
  const requested = useRef<{ tick: number; key: string }>({ tick, key: '' });

  const load = useCallback(async (of: string, signal: AbortSignal) => {
    pending.current = true;
    try {
      const data = await fetchJson<T>(of, signal);
      if (!signal.aborted) setState({ path: of, data });
    } catch (cause) {
      if (signal.aborted) return;
      const error = cause instanceof ApiError ? cause : new ApiError(String(cause));
      setState((before) => ({ ...before, path: of, error }));
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
    if (path === null) return;
    const isSame = requested.current.key === key;
    if (isSame && (requested.current.tick === tick || pending.current)) return;
    requested.current = { tick, key };
    controller.current?.abort();
    controller.current = new AbortController();
    if (!isSame) setIsBusy(true);
    void load(path, controller.current.signal);
  }, [path, key, tick, load]);
  useEffect(() => () => controller.current?.abort(), []);

  const retry = useCallback(() => setAttempt((count) => count + 1), []);
  return {
    data: state.data,
    error: state.error,
    isLoading: isBusy || (path !== null && state.path !== path),
    retry,
  };
}
