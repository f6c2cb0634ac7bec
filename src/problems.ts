import { TrackUsageError } from './errors.ts';

/** A problem of one kind is told at most this often. In ms. */
const INTERVAL = 60_000;

/** Tells the user what goes wrong: each kind at most once a minute, and never into the app. */
export class Problems {
  /** What was reported last, told or not. */
  last: { date: number; code: string | null; message: string } | null = null;
  readonly #tell: (error: Error) => void;
  readonly #told = new Map<string, number>();

  constructor(tell: (error: Error) => void = toStderr) {
    this.#tell = tell;
  }

  report(error: Error): void {
    const code = error instanceof TrackUsageError ? error.code : null;
    this.last = { date: Date.now(), code, message: error.message };
    // Several storages, hooks and summaries may each have their own problem of one kind.
    const kind = code === null || code === 'SUMMARY_IDLE' || code === 'STORAGE_FAILED' ? error.message : code;
    const now = performance.now();
    const told = this.#told.get(kind);
    if (told !== undefined && now - told < INTERVAL) return;
    if (this.#told.size > 100) this.#told.clear();
    this.#told.set(kind, now);
    try {
      this.#tell(error);
    } catch {
      // The user's own function; there is nobody left to tell.
    }
  }
}

function toStderr(error: Error): void {
  process.stderr.write(`track-usage: ${error.message}\n`);
}
