import { renameSync, statSync, unlink, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processTime } from '../platform/clock.ts';
import { call } from './disk.ts';
import type { SharedState } from './shared.ts';

/*
 * The heartbeat of a journal is a file in its directory whose modification time the owner updates every
 * second. The lock alone does not prove that the owner is alive. The kernel releases it when the owner's
 * process closes any other descriptor of the lock's file, as an in-process backup does.
 *
 * - Each beat names the file by its path. A successful beat proves the ownership for `LEASE` ms. After that,
 *   the owner appends and stores nothing before another beat.
 * - An adopter takes the journal if its lock is free and the file has not changed for `STILL` ms of the
 *   adopter's own monotonic clock. It renames the file, so that all later beats of the owner fail. An owner
 *   that was paused therefore detects the adoption before it counts anything.
 * - A journal without the file was closed, or an adopter died in the middle of the adoption. Only its lock
 *   counts.
 */

/** Interval of the owner's beats, ms. */
export const BEAT_INTERVAL = 1_000;
/**
 * Time for which a successful beat proves the ownership, ms. Shorter than `STILL` by the time that an append
 * may take.
 */
export const LEASE = 2_000;
/** Time without a beat after which an adopter may take a journal whose lock is free, ms. */
export const STILL = 3_000;

const FILE = 'heartbeat';
/** Name of the file after an adopter has taken the journal. */
const CLAIMED = 'adopted';

/** Creates the heartbeat of a new journal. */
export function startHeartbeat(directory: string): void {
  writeFileSync(join(directory, FILE), '', { mode: 0o600 });
}

/**
 * Beats once for a journal of this process. Returns `gone` if the file was deleted, and `taken` if another
 * process may have adopted the journal. Long after the last beat, both look the same and the result is
 * `taken`. Throws if the file system returns another error.
 */
export function beat(directory: string, shared: SharedState): 'kept' | 'gone' | 'taken' {
  const last = shared.beat;
  // No file can be written, so there is nothing to own.
  if (last === 0) return 'kept';
  const now = processTime();
  // Not the wall clock, which an app's tests may stop.
  const time = now / 1_000;
  const beaten = present(() => {
    utimesSync(join(directory, FILE), time, time);
    return true;
  });
  if (!beaten) return now - last < STILL ? 'gone' : 'taken';
  shared.beat = now;
  return 'kept';
}

/** Marks a journal as closed: it can be adopted as soon as its lock is free. */
export function endHeartbeat(directory: string): void {
  present(() => unlinkSync(join(directory, FILE)));
}

/** Like `endHeartbeat`, off the app's thread. */
export async function endHeartbeatLater(directory: string): Promise<void> {
  try {
    await call<void>((done) => unlink(join(directory, FILE), done));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/**
 * Returns the last beat, only for comparison, and its time in ms since 1970. Returns `undefined` if there is
 * no file.
 */
export function lastBeat(directory: string): { beat: number; time: number } | undefined {
  const file = present(() => statSync(join(directory, FILE)));
  return file && { beat: file.mtimeMs, time: file.ctimeMs };
}

/**
 * Takes a journal from its owner. Returns false if the owner is alive after all. The caller must hold the
 * lock.
 */
export function claim(directory: string, seen: number): boolean {
  const file = join(directory, FILE);
  const claimed = join(directory, CLAIMED);
  return (
    present(() => {
      renameSync(file, claimed);
      if (statSync(claimed).mtimeMs === seen) return true;
      renameSync(claimed, file);
      return false;
    }) ?? false
  );
}

/** Returns the result of a call; `undefined` if the file does not exist. */
function present<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
