import { useEffect, useRef, useState } from 'preact/hooks';
import { outage } from './outage.ts';
import type { UsageStatus } from './types.ts';

/** Pauses before a stream that the server refused is opened again. In ms. */
const FIRST_PAUSE = 3_000;
const MAX_PAUSE = 30_000;
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
  const hasFailed = useRef(false);
  const [attempt, setAttempt] = useState(0);
  const pause = useRef(FIRST_PAUSE);

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
    let reopening: ReturnType<typeof setTimeout> | undefined;
    source.onopen = () => {
      setState('connected');
      pause.current = FIRST_PAUSE;
      // No event reports the records that were stored while the stream was interrupted.
      if (hasFailed.current) setTick((count) => count + 1);
      hasFailed.current = false;
      outage.retry();
    };
    source.onerror = () => {
      hasFailed.current = true;
      if (source.readyState !== EventSource.CLOSED) {
        setState('connecting');
        return;
      }
      // The browser reopens an interrupted stream, but not one that was refused, for example by a proxy.
      setState('lost');
      reopening ??= setTimeout(() => setAttempt((count) => count + 1), pause.current);
      pause.current = Math.min(MAX_PAUSE, pause.current * 2);
    };
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
      clearTimeout(reopening);
    };
  }, [isWanted, isVisible, attempt]);

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
