import { writeSync } from 'node:fs';
import { TrackUsageError } from '../../errors.ts';
import { monotonicClock, wallClock } from '../../platform/clock.ts';

/** Error in a status. */
export interface StatusError {
  /** Code of this library, the database or Node; `null` for an error without one. */
  code: string | null;
  /** Message of the error. */
  message: string;
}

/** Most recently reported error. */
export interface LastError extends StatusError {
  /** Time of the report, in ms since 1970. */
  date: number;
}

/** Minimum interval between reports of the same kind. */
const REPORT_INTERVAL_MS = 60_000;

/** Codes that can occur in several storages, summaries or journals, so that each message is a separate kind. */
const CODES_BY_MESSAGE = new Set<string>([
  'SUMMARY_IDLE',
  'STORAGE_FAILED',
  'STORAGE_REPLACED',
  'JOURNAL_CORRUPT',
  'JOURNAL_DROPPED',
]);

/** Reports problems to the user, each kind at most once per minute. Never throws into the app. */
export class ProblemReporter {
  /** Last problem, whether or not it was reported. */
  last: LastError | null = null;
  readonly #onError: (error: Error) => unknown;
  readonly #reportedAt = new Map<string, number>();

  constructor(onError: (error: Error) => unknown = toStderr) {
    this.#onError = onError;
  }

  report(error: Error): void {
    const code = error instanceof TrackUsageError ? error.code : null;
    this.last = { date: wallClock.now(), code, message: error.message };
    const kind = code === null || CODES_BY_MESSAGE.has(code) ? error.message : code;
    const now = monotonicClock.now();
    const reportedAt = this.#reportedAt.get(kind);
    if (reportedAt !== undefined && now - reportedAt < REPORT_INTERVAL_MS) return;
    if (this.#reportedAt.size > 100) this.#reportedAt.clear();
    this.#reportedAt.set(kind, now);
    try {
      // The user's own function failed, and nothing is left to report its error to.
      Promise.resolve(this.#onError(error)).catch(() => {});
    } catch {}
  }
}

function toStderr(error: Error): void {
  // `process.stderr` and `console.error` end the process if the other end is closed.
  writeSync(2, `track-usage: ${error.message}\n`);
}
