import { parseCookie } from 'cookie';
import type { HeaderFields } from './headers.ts';

/** Requests of people who opted out: not recorded, or recorded without their data. */
export type OptedOut = 'exclude' | 'anonymous';

/** Signals by which people opt out. */
export interface OptOutSignals {
  /** True for the header `DNT: 1`. */
  dnt: boolean;
  /** True for the header `Sec-GPC: 1`. */
  gpc: boolean;
  /** Name of a cookie that opts out, with any value. */
  cookie: string | undefined;
}

/** Recognizes requests of people who opted out of tracking. */
export class OptOut {
  /** True if their requests are not recorded at all. */
  readonly excludes: boolean;
  readonly #signals: OptOutSignals;

  constructor(signals: OptOutSignals, optedOut: OptedOut) {
    this.#signals = signals;
    this.excludes = optedOut === 'exclude';
  }

  /** Returns whether the sender of a request opted out. */
  applies({ dnt, gpc, cookie }: HeaderFields): boolean {
    const signals = this.#signals;
    if ((signals.dnt && dnt === '1') || (signals.gpc && gpc === '1')) return true;
    const { cookie: name } = signals;
    return name !== undefined && cookie.includes(name) && parseCookie(cookie)[name] !== undefined;
  }
}
