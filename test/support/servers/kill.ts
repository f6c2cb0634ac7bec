import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Ends a process as a crash would, and waits until it has ended; nothing where there is none any more. */
export async function kill(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
