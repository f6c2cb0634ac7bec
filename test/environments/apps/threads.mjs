import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

// The app runs in two worker threads: the first is terminated after its responses, then the second starts.
if (isMainThread) {
  const first = new Worker(new URL(import.meta.url));
  await once(first, 'message');
  await first.terminate();
  new Worker(new URL('./esm.mjs', import.meta.url));
} else {
  process.kill = () => {
    parentPort.postMessage('done');
  };
  await import('./killed.mjs');
}
