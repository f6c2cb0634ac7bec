/** The thread that answers questions: see `threadReader`. */
import { parentPort, workerData } from 'node:worker_threads';
import { type CompleteReader, complete } from '../storages/complete-reader.ts';
import type { StorageModule } from '../storages/contract.ts';
import { plainError } from '../threads.ts';
import type { Answer, Question } from './reader-thread.ts';

const { module, options } = workerData as { module: string; options: unknown };
const { openReader } = (await import(module)) as StorageModule;
let reader: CompleteReader | undefined;

parentPort!.on('message', async ({ id, method, argument }: Question) => {
  let answer: Answer;
  try {
    // Opened at each question until it succeeds: an app may ask before its database exists.
    reader ??= complete(await openReader!(options));
    answer = { id, value: await reader[method](argument as never) };
  } catch (error) {
    answer = { id, error: plainError(error) };
  }
  parentPort!.postMessage(answer);
});
