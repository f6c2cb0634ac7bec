/**
 * Rebuilds a database, and is killed while it stores a batch: after some writes to the server, or after the batch. Sends
 * a message after each bucket.
 */
import { Socket } from 'node:net';
import { rebuild } from '../../src/maintenance/rebuild.ts';
import { openStorageWriter } from '../../src/storage/writer.ts';
import { storageAt } from '../../src/storages/by-url.ts';

const [url = '', batch = '1', writes = '1'] = process.argv.slice(2);
let batches = 0;
let left = Number.POSITIVE_INFINITY;
const kill = () => process.kill(process.pid, 'SIGKILL');

const { write } = Socket.prototype;
Socket.prototype.write = function (this: Socket, ...given: Parameters<typeof write>) {
  left -= 1;
  // By then, the server has received it.
  if (left === 0) setImmediate(kill);
  return write.apply(this, given);
} as typeof write;

const storage = await storageAt(url).open();
const opened = await openStorageWriter(storage, { site: 'default', timeZone: 'UTC', durable: true });
const { apply } = opened;
const { lease } = opened.maintenance!;
opened.apply = async (given) => {
  batches += 1;
  if (batches !== Number(batch)) return apply.call(opened, given);
  left = Number(writes);
  await apply.call(opened, given);
  kill();
  return new Promise(() => {});
};
// Short, so that the test need not wait for its end.
opened.maintenance!.lease = (request) =>
  lease.call(opened.maintenance, { ...request, ms: Math.min(request.ms, 20) });
await rebuild({
  storage: Object.create(storage, { openWriter: { value: async () => opened } }),
  onProgress: ({ done }) => process.send!(done),
});
