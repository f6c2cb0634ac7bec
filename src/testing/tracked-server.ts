import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RecordWriter } from '../storage/writer.ts';
import { TrackUsage } from '../tracker/tracker.ts';

/** Starts a tracked server that responds `hello`, with its own journal. `await using` closes and removes both. */
export async function trackedServer(storages: RecordWriter | readonly RecordWriter[]) {
  const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
  const errors: Error[] = [];
  const server = http.createServer((_request, response) => response.end('hello'));
  const usage = new TrackUsage(server, storages, {
    geo: false,
    onError: (error) => errors.push(error),
    journal: { dir: directory },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    usage,
    errors,
    async get(path: string): Promise<void> {
      await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      server.close();
      await usage.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
