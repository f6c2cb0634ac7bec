import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/**
 * Ends a process with SIGKILL, like a crash, and waits until it has exited. Does nothing if it already has.
 */
export async function kill(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
