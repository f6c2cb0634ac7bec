/** Entry point of the reader's thread: see `threadReader`. */
import { parentPort, workerData } from 'node:worker_threads';
import { plainError } from '../platform/threads.ts';
import type { StorageModule } from './contract.ts';
import { FollowingReader } from './following-reader.ts';
import type { ReaderCall, ReaderResult } from './reader-thread.ts';

const { module, options } = workerData as { module: string; options: unknown };
const { openReader } = (await import(module)) as StorageModule;
const reader = new FollowingReader(() => openReader!(options));

parentPort!.on('message', async ({ id, method, argument }: ReaderCall) => {
  let answer: ReaderResult;
  try {
    answer = { id, value: await reader.query(method, argument) };
  } catch (error) {
    answer = { id, error: plainError(error) };
  }
  parentPort!.postMessage(answer);
});
