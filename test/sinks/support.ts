import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { type RecordWriter, Storage, TrackUsage, type TrackUsageOptions } from '../../src/index.ts';
import type { Batch } from '../../src/storage/contract.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';

/** Waits until the check passes, also on a busy machine. */
export function eventually(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 15_000 });
}

/** Starts a tracked server that responds with `hello` and the status in `?status=`. Closed by `await using`. */
export async function startServer(
  storages: RecordWriter | RecordWriter[] | ((directory: string) => RecordWriter | RecordWriter[]),
  options: TrackUsageOptions = {},
) {
  const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
  const errors: Error[] = [];
  const server = http.createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://host');
    response.statusCode = Number(searchParams.get('status') ?? 200);
    response.end('hello');
  });
  const usage = new TrackUsage(server, typeof storages === 'function' ? storages(directory) : storages, {
    geo: false,
    onError: (error) => errors.push(error),
    ...options,
    journal: { dir: directory, ...options.journal },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    usage,
    errors,
    directory,
    async request(path = '/', headers: Record<string, string> = {}) {
      return (await fetch(base + path, { headers })).text();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await usage.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Creates a storage in memory that awaits `before` for each batch, and fails if that fails. */
export function memoryStorageWith({
  label,
  hooks,
  before,
}: {
  label: string;
  hooks?: NonNullable<ConstructorParameters<typeof MemoryStorage>[0]>['hooks'];
  before: (batch: Batch) => unknown;
}): Storage {
  const memory = new MemoryStorage();
  return new Storage({
    label,
    identity: label,
    ...(hooks && { hooks }),
    openReader: async () => memory.reader,
    async openWriter(context) {
      const writer = await memory.openWriter!(context);
      return {
        ...writer,
        async apply(batch) {
          await before(batch);
          return writer.apply(batch);
        },
      };
    },
  });
}
