/** Runs on a small file system, whose path is the argument, and fills it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TrackUsage } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

const disk = process.argv[2]!;
const elsewhere = mkdtempSync(join(tmpdir(), 'track-usage-test-'));
const server = http.createServer((_request, response) => response.end('hello'));
const usage = new TrackUsage(server, new SqliteStorage(join(elsewhere, 'usage.db'), { hooks: ['server'] }), {
  journal: { dir: disk },
  onError: () => {},
});
await usage.ready();
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as { port: number };

let asked = 0;
let answered = 0;
async function ask(count: number): Promise<void> {
  for (let i = 0; i < count; i += 50) {
    asked += 50;
    const bodies = await Promise.all(
      Array.from({ length: 50 }, async () =>
        (await fetch(`http://127.0.0.1:${port}/${'x'.repeat(2000)}`)).text(),
      ),
    );
    answered += bodies.filter((body) => body === 'hello').length;
  }
}

await ask(100);
// Another program fills the disk to the last byte.
const filler = join(disk, 'filler');
try {
  writeFileSync(filler, Buffer.alloc(16 * 1024 * 1024));
} catch {
  // Full.
}
await ask(1500);
const whileFull = usage.status();
rmSync(filler);
// The file is retried every 2 s.
while (usage.status().journal.state === 'memory') await new Promise((resolve) => setTimeout(resolve, 20));
await ask(100);
await usage.flush();
const after = usage.status();
const [sum] = await usage.getSum('server', { period: 'month' });
process.stdout.write(JSON.stringify({ asked, answered, whileFull, after, hits: sum?.hits }));
await usage.close();
server.closeAllConnections();
server.close();
rmSync(elsewhere, { recursive: true });
