/** A test of an app, with functions that Jest, Vitest and node:test share: `test` and `assert`. */
const assert = require('node:assert');
const { mkdtempSync } = require('node:fs');
const { createServer } = require('node:http');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const test = globalThis.test ?? require('node:test').test;

test('the app is tracked', async () => {
  const { sumUrls, TrackUsage, TrackUsageError } = require('track-usage');
  const { SqliteStorage } = require('track-usage/sqlite');
  const { trackUsage } = require('track-usage/express');
  const directory = mkdtempSync(join(tmpdir(), 'tracked-'));
  const server = createServer((_request, response) => response.end('hello'));
  const storage = new SqliteStorage(join(directory, 'usage.db'), { hooks: [sumUrls] });
  const usage = new TrackUsage(server, storage, { journal: { dir: directory } });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/about`)).text(), 'hello');
  await usage.flush({ timeout: 30_000 });
  const [sum] = await usage.getSum(sumUrls, { period: 'day' });
  assert.deepEqual([sum.key, sum.hits], [`http://127.0.0.1:${port}/about`, 1]);
  assert.throws(() => new TrackUsage(server), TrackUsageError);
  // The same class as in the other entry.
  assert.equal(typeof trackUsage(usage), 'function');
  server.closeAllConnections();
  server.close();
  await usage.close({ timeout: 30_000 });
});
