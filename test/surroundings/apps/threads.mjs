import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

// The app runs in threads: one that is ended when it has answered, and one that comes after it.
if (isMainThread) {
  const first = new Worker(new URL(import.meta.url));
  await once(first, 'message');
  await first.terminate();
  new Worker(new URL('./esm.mjs', import.meta.url));
} else {
  process.kill = () => {
    parentPort.postMessage('answered');
  };
  await import('./killed.mjs');
}
