import { useEffect, useRef, useState } from 'preact/hooks';
import type { UsageStatus } from './types.ts';

/** Minimum interval between two reloads of the page. In ms. */
const PAUSE = 3_000;

export type LiveState = 'connecting' | 'connected' | 'paused' | 'lost';

export interface Live {
  state: LiveState;
  /** `undefined` until the server has sent a status. */
  status: UsageStatus | null | undefined;
  /** Counter of new data. */
  tick: number;
}

/** Receives server-sent events while the page is visible. */
export function useLive(isWanted: boolean): Live {
  const [state, setState] = useState<LiveState>('connecting');
  const [status, setStatus] = useState<UsageStatus | null>();
  const [tick, setTick] = useState(0);
  const isVisible = useVisible();
  const last = useRef(0);
  const stored = useRef<number | null>(null);
  const hasSlept = useRef(false);

  useEffect(() => {
    if (!isWanted || !isVisible) {
      hasSlept.current = true;
      setState('paused');
      return;
    }
    if (hasSlept.current) setTick((count) => count + 1);
    hasSlept.current = false;
    setState('connecting');
    let timer: ReturnType<typeof setTimeout> | undefined;
    const source = new EventSource('api/v1/live');
    source.onopen = () => setState('connected');
    source.onerror = () => setState(source.readyState === EventSource.CLOSED ? 'lost' : 'connecting');
    source.addEventListener('ping', () => setState('connected'));
    source.addEventListener('usage', (event) => {
      setState('connected');
      const told = read((event as MessageEvent<string>).data);
      setStatus(told.status);
      if (typeof told.stored !== 'number' || told.stored === stored.current) return;
      const isNews = stored.current !== null;
      stored.current = told.stored;
      // The first event repeats what the page has just loaded.
      if (isNews)
        timer ??= setTimeout(
          () => {
            timer = undefined;
            last.current = Date.now();
            setTick((count) => count + 1);
          },
          Math.max(0, last.current + PAUSE - Date.now()),
        );
    });
    return () => {
      source.close();
      clearTimeout(timer);
    };
  }, [isWanted, isVisible]);

  return { state, status, tick };
}

interface Told {
  status?: UsageStatus | null;
  stored?: number | null;
}

function read(data: string): Told {
  try {
    return JSON.parse(data) as Told;
  } catch {
    return {};
  }
}

function useVisible(): boolean {
  const [isVisible, setIsVisible] = useState(!document.hidden);
  useEffect(() => {
    const onChange = () => setIsVisible(!document.hidden);
    document.addEventListener('visibilitychange', onChange);
    return () => document.removeEventListener('visibilitychange', onChange);
  }, []);
  return isVisible;
}
