import { writeSync } from 'node:fs';
import { TrackUsageError } from '../../errors.ts';
import { monotonicClock, wallClock } from '../../platform/clock.ts';

/** A problem of one kind is told at most this often. In ms. */
const INTERVAL = 60_000;

/** Codes under which several storages, summaries or journals may each have a problem of their own. */
const SEVERAL = new Set<string>([
  'SUMMARY_IDLE',
  'STORAGE_FAILED',
  'STORAGE_REPLACED',
  'JOURNAL_CORRUPT',
  'JOURNAL_DROPPED',
]);

/** Tells the user what goes wrong: each kind at most once a minute, and never into the app. */
export class Problems {
  /** What was reported last, told or not. */
  last: { date: number; code: string | null; message: string } | null = null;
  readonly #tell: (error: Error) => unknown;
  readonly #told = new Map<string, number>();

  constructor(tell: (error: Error) => unknown = toStderr) {
    this.#tell = tell;
  }

  report(error: Error): void {
    const code = error instanceof TrackUsageError ? error.code : null;
    this.last = { date: wallClock.now(), code, message: error.message };
    const kind = code === null || SEVERAL.has(code) ? error.message : code;
    const now = monotonicClock.now();
    const told = this.#told.get(kind);
    if (told !== undefined && now - told < INTERVAL) return;
    if (this.#told.size > 100) this.#told.clear();
    this.#told.set(kind, now);
    try {
      // The user's own function, and there is nobody left to tell what it throws, now or later.
      Promise.resolve(this.#tell(error)).catch(() => {});
    } catch {}
  }
}

function toStderr(error: Error): void {
  // `process.stderr`, and `console.error` too, end the process when nobody reads the other end any more.
  writeSync(2, `track-usage: ${error.message}\n`);
}
