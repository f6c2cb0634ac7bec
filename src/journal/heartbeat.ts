import { renameSync, statSync, unlink, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processTime } from '../clock.ts';
import { call } from './disk.ts';
import type { SharedState } from './shared.ts';

/*
 * The heartbeat of a journal: a file in its directory whose modification time the owner changes every second. The lock
 * alone does not say that the owner lives: the kernel drops it when the owner's own process closes any other
 * descriptor of the lock's file, as an in-process backup does.
 *
 * - Each beat names the file by its path. A beat that succeeds proves the ownership for `LEASE` ms; after that the
 *   owner appends and stores nothing before it has beaten again.
 * - An adopter takes the journal when its lock is free and the file has not changed for `STILL` ms of the adopter's
 *   own monotonic clock. It renames the file, so that every later beat of the owner fails: an owner that was paused
 *   learns that the journal is no longer its own before it counts anything.
 * - A journal without the file was closed, or an adopter died in the middle of it. Its lock alone decides.
 */

/** Interval of the owner's beats, ms. */
export const BEAT_INTERVAL = 1_000;
/** How long a successful beat proves the ownership, ms. Shorter than `STILL` by the time that an append may take. */
export const LEASE = 2_000;
/** Time without a beat after which an adopter takes a journal whose lock is free, ms. */
export const STILL = 3_000;

const FILE = 'heartbeat';
/** The name of the file once an adopter has the journal. */
const CLAIMED = 'adopted';

/** Creates the heartbeat of a new journal. */
export function startHeartbeat(directory: string): void {
  writeFileSync(join(directory, FILE), '', { mode: 0o600 });
}

/**
 * Beats once for a journal of this process. Returns `gone` where somebody deleted it, and `taken` where another
 * process may have adopted it: so long after the last beat that both look the same. Throws where the file system does
 * not say.
 */
export function beat(directory: string, shared: SharedState): 'kept' | 'gone' | 'taken' {
  const last = shared.beat;
  // No file can be written: there is nothing to own.
  if (last === 0) return 'kept';
  const now = processTime();
  // Not the time of day, which an app's tests may stop.
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

/** The same, off the app's thread. */
export async function endHeartbeatLater(directory: string): Promise<void> {
  try {
    await call<void>((done) => unlink(join(directory, FILE), done));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Returns the last beat, for comparison alone, and when it was in ms since 1970; `undefined` where there is no file. */
export function lastBeat(directory: string): { beat: number; time: number } | undefined {
  const file = present(() => statSync(join(directory, FILE)));
  return file && { beat: file.mtimeMs, time: file.ctimeMs };
}

/** Takes a journal from its owner; returns false if the owner is alive after all. The caller holds the lock. */
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
