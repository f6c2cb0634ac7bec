import assert from 'node:assert';
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sumUrls, TrackUsage } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';

const test = globalThis.test ?? (await import('node:test')).test;

test('the app is tracked', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tracked-'));
  const server = createServer((_request, response) => response.end('hello'));
  const storage = new SqliteStorage(join(directory, 'usage.db'), { hooks: [sumUrls] });
  const usage = new TrackUsage(server, storage, { journal: { dir: directory } });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await fetch(`http://127.0.0.1:${port}/about`);
  await usage.flush({ timeout: 30_000 });
  const [sum] = await usage.getSum(sumUrls, { period: 'day' });
  assert.deepEqual([sum.key, sum.hits], [`http://127.0.0.1:${port}/about`, 1]);
  server.closeAllConnections();
  server.close();
  await usage.close({ timeout: 30_000 });
});
