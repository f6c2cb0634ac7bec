import { reasonOf, TrackUsageError } from '../../errors.ts';
import { setTimeout } from '../../platform/clock.ts';
import type { Server } from './client.ts';

/** Interval at which the progress is queried. In ms. */
const POLL_INTERVAL = 50;

/**
 * Rewrites the append-only file of each server that has one, and the snapshot of each server that makes snapshots, so
 * that they no longer contain deleted data. Resolves when they are replaced.
 * @param label Name of the storage, for the error.
 */
export async function rewriteFiles(server: Server, label: string): Promise<void> {
  for (const send of await server.primaries()) {
    try {
      await rewriteFilesOf(send);
    } catch (error) {
      if (!/^(NOPERM|ERR unknown (sub)?command)/i.test(reasonOf(error))) throw error;
      throw scrubFailed(label, reasonOf(error), error);
    }
  }
}

/** Creates the error for data that remains in the files. */
export function scrubFailed(storage: string, reason: string, cause?: unknown): TrackUsageError {
  const how =
    'grant the user the commands INFO, CONFIG GET, BGREWRITEAOF and BGSAVE, or run the last two on each server yourself';
  return new TrackUsageError('SCRUB_FAILED', { storage, reason, how }, { cause });
}

async function rewriteFilesOf(send: Send): Promise<void> {
  if ((await infoOf(send)).get('aof_enabled') === '1') {
    await rewrite(send, 'BGREWRITEAOF', 'aof_last_bgrewrite_status');
  }
  const info = await infoOf(send);
  // A server without snapshots must not get one. Redis before version 7 does not report their number.
  if (info.get('rdb_saves') !== '0' || (await makesSnapshots(send))) {
    await rewrite(send, 'BGSAVE', 'rdb_last_bgsave_status');
  }
}

type Send = (args: readonly string[]) => Promise<unknown>;

async function makesSnapshots(send: Send): Promise<boolean> {
  const found = (await send(['CONFIG', 'GET', 'save'])) as unknown[] | Record<string, unknown>;
  return (Array.isArray(found) ? found[1] : found.save) !== '';
}

async function rewrite(send: Send, command: string, status: string): Promise<void> {
  // A rewrite that is in progress may have begun before the deletion.
  await idle(send);
  await send([command]);
  const info = await idle(send);
  if (info.get(status) !== 'ok') throw new Error(`${command} failed: the reason is in the log of Redis`);
}

/** Waits until the server rewrites no file, and returns its state. */
async function idle(send: Send): Promise<Map<string, string>> {
  const running = ['aof_rewrite_in_progress', 'aof_rewrite_scheduled', 'rdb_bgsave_in_progress'];
  for (;;) {
    const info = await infoOf(send);
    if (running.every((name) => info.get(name) !== '1')) return info;
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
  }
}

async function infoOf(send: Send): Promise<Map<string, string>> {
  const lines = String(await send(['INFO', 'persistence'])).split(/\r?\n/);
  return new Map(lines.map((line) => line.split(':') as [string, string]));
}
