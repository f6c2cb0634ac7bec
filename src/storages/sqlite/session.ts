import type { DatabaseSync } from 'node:sqlite';
import type { KeyCounts } from './key-counts.ts';

/** Connection of a writer. */
export interface WriterSession {
  database: DatabaseSync;
  /** ID of the site. */
  site: number;
  counts: KeyCounts;
  /** Runs statements that are no transaction. */
  read<T>(run: () => T): T;
  /** Runs a write transaction. Rolls it back if `run` throws or returns false. */
  write<T>(run: () => T): T;
  /** Clears the writer's caches. */
  forget(): void;
}
