import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { sumServer, sumUrls, TrackUsage } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';

/** Timeout for events that may never happen, in ms. */
const timeout = Number(process.env.TIMEOUT ?? 30_000);
const server = createServer((_request, response) => response.end('hello'));
const { CHDIR, DATABASE = 'usage.db', GEO, JOURNAL, TOTAL } = process.env;
const usage = new TrackUsage(server, new SqliteStorage(DATABASE, { hooks: [sumUrls, sumServer] }), {
  journal: JOURNAL ? { dir: JOURNAL } : {},
  geo: GEO ? { database: GEO } : false,
});
if (CHDIR) process.chdir(CHDIR);
server.listen(0, '127.0.0.1', async () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  const responses = [];
  for (const path of ['/', '/about', '/']) responses.push(await (await fetch(origin + path)).text());
  const ready = await usage.ready().then(
    () => null,
    (error) => error.code ?? error.message,
  );
  await usage.flush({ timeout }).catch(() => {});
  // The journal of a dead process is adopted some seconds later.
  for (const until = Date.now() + timeout; TOTAL && Date.now() < until; await setTimeout(50)) {
    const sums = await usage.getSum(sumServer, { period: 'month' });
    if (sums.reduce((total, { hits }) => total + hits, 0) >= Number(TOTAL)) break;
  }
  const urls = await usage.getSum(sumUrls, { period: 'day' }).catch(({ code }) => code);
  const hits = Array.isArray(urls) ? urls.map(({ key, hits }) => [key.slice(origin.length), hits]) : urls;
  const { captured, journal, storages, writerRestarts } = usage.status();
  const [{ committed, adopted, rejected, ok, error }] = storages;
  const storage = { ok, committed, adopted, rejected, error: error?.message };
  const report = { responses, ready, hits, captured, state: journal.state, storage, writerRestarts };
  console.log(JSON.stringify(report));
  server.close();
  server.closeAllConnections();
  await usage.close({ timeout });
});
