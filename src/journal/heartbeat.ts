import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rename, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { processTime } from '../platform/clock.ts';
import { ifPresent } from '../platform/files.ts';
import { call } from './disk.ts';
import type { Position } from './position.ts';
import type { SharedState } from './shared.ts';

/*
 * The heartbeat of a journal is a file in its directory whose modification time the owner updates every
 * second. The lock alone does not prove that the owner is alive. The kernel releases it when the owner's
 * process closes any other descriptor of the lock's file, as an in-process backup does.
 *
 * - Each beat names the file by its path. A successful beat proves the ownership for `LEASE_MS`. After that,
 *   the owner appends and stores nothing before another beat.
 * - An adopter takes the journal if its lock is free and the file has not changed for `ADOPTION_TIMEOUT_MS` of the
 *   adopter's own monotonic clock. It renames the file to a name that only it knows, so that all later beats of
 *   the owner fail. An owner that was paused therefore detects the adoption before it counts anything.
 * - From then on, the adopter is the owner, and the renamed file is its heartbeat. Another process may adopt the
 *   journal from it in the same way.
 * - An owner that closes the journal renames the file to `closed`. Such a journal is adopted as soon as its lock
 *   is free.
 * - The file contains the end of the journal at its owner's last beat. If the journal's files end before that,
 *   the adopter counts the missing records.
 */

/** Interval of the owner's beats. */
export const BEAT_INTERVAL_MS = 1_000;
/**
 * Time for which a successful beat proves the ownership. Shorter than `ADOPTION_TIMEOUT_MS` by the time that an append
 * may take.
 */
export const LEASE_MS = 2_000;
/** Time without a beat after which an adopter may take a journal whose lock is free. */
export const ADOPTION_TIMEOUT_MS = 3_000;

const FILE = 'heartbeat';
const CLOSED = 'closed';
/** Name of an adopter's heartbeat. */
const ADOPTED = /^adopted-[0-9a-f]{32}$/;

/** Heartbeat of a journal, as another process sees it. */
export interface Heartbeat {
  /** Name of the file. */
  name: string;
  /** Time of the last change, only for comparison; `undefined` for a closed journal. */
  beat: number | undefined;
  /** Time of the last change, ms since 1970. */
  time: number;
}

/** Creates the heartbeat of a new journal. */
export function startHeartbeat(directory: string): void {
  writeFileSync(join(directory, FILE), encodeEnd({ position: 0, ordinal: 0 }), { mode: 0o600 });
}

/** Saves the end of the journal. Call before a beat, because writing also changes the modification time. */
export function writeEnd(directory: string, shared: SharedState): void {
  // The ordinal first: `advance` sets it last, so it is never too large for the position.
  const { ordinal } = shared;
  const bytes = encodeEnd({ position: shared.end, ordinal });
  present(() => writeFileSync(join(directory, FILE), bytes, { flag: 'r+' }));
}

/**
 * Returns the position up to which a dead process had certainly written its journal; 0 if it is not known.
 * @param heartbeat As `lastBeat` returns it.
 */
export function readEnd(directory: string, heartbeat: Heartbeat | undefined): Position {
  const path = join(directory, heartbeat?.name ?? FILE);
  const bytes = ifPresent(path, () => readFileSync(path));
  // The process may have been killed while it wrote the file.
  const isIntact = bytes?.length === 20 && bytes.readUInt32LE(16) === crc32(bytes.subarray(0, 16));
  return isIntact
    ? { position: bytes.readDoubleLE(0), ordinal: bytes.readDoubleLE(8) }
    : { position: 0, ordinal: 0 };
}

/** Encodes position, ordinal and a checksum. */
function encodeEnd({ position, ordinal }: Position): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeDoubleLE(position, 0);
  bytes.writeDoubleLE(ordinal, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 16)), 16);
  return bytes;
}

/**
 * Beats once for a journal of this process. Returns `gone` if the file was deleted, and `taken` if another
 * process may have adopted the journal. If the file is missing long after the last beat, the two cases cannot
 * be distinguished, and the result is `taken`. Throws for other file system errors.
 */
export function beat(directory: string, shared: SharedState): 'kept' | 'gone' | 'taken' {
  const last = shared.beat;
  // There is no heartbeat, because no file could be written.
  if (last === 0) return 'kept';
  const now = processTime();
  if (!touch(directory, FILE, now)) return now - last < ADOPTION_TIMEOUT_MS ? 'gone' : 'taken';
  shared.beat = now;
  return 'kept';
}

/** Beats once for an adopted journal. Returns false if another process adopted or deleted it. */
export function beatAdopted(directory: string, name: string): boolean {
  return touch(directory, name, processTime());
}

function touch(directory: string, name: string, now: number): boolean {
  // Not the wall clock, which an app's tests may stop.
  const time = now / 1_000;
  const touched = present(() => {
    utimesSync(join(directory, name), time, time);
    return true;
  });
  return touched ?? false;
}

/**
 * Marks a journal as closed. It can be adopted as soon as its lock is free.
 * @param name Name of the owner's heartbeat.
 */
export function endHeartbeat(directory: string, name = FILE): void {
  present(() => renameSync(join(directory, name), join(directory, CLOSED)));
}

/** Like `endHeartbeat`, off the app's thread. */
export async function endHeartbeatLater(directory: string): Promise<void> {
  try {
    await call<void>((done) => rename(join(directory, FILE), join(directory, CLOSED), done));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Returns the heartbeat of a journal; `undefined` if there is none. */
export function lastBeat(directory: string): Heartbeat | undefined {
  const own = look(directory, FILE);
  if (own) return own;
  const names = present(() => readdirSync(directory)) ?? [];
  const name = names.find((name) => ADOPTED.test(name)) ?? names.find((name) => name === CLOSED);
  return name === undefined ? undefined : look(directory, name);
}

function look(directory: string, name: string): Heartbeat | undefined {
  const file = present(() => statSync(join(directory, name)));
  return file && { name, beat: name === CLOSED ? undefined : file.mtimeMs, time: file.ctimeMs };
}

/**
 * Takes a journal from its owner. Returns the name of the adopter's heartbeat, or `undefined` if the owner is
 * alive after all. The caller must hold the lock.
 * @param seen The heartbeat; `undefined` for a journal without one.
 */
export function claim(directory: string, seen: Heartbeat | undefined): string | undefined {
  const name = `adopted-${randomBytes(16).toString('hex')}`;
  const claimed = join(directory, name);
  return present(() => {
    if (!seen) {
      writeFileSync(claimed, '', { mode: 0o600 });
      return name;
    }
    const file = join(directory, seen.name);
    renameSync(file, claimed);
    if (seen.beat === undefined || statSync(claimed).mtimeMs === seen.beat) return name;
    renameSync(claimed, file);
    return undefined;
  });
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
