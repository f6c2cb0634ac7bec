import type { AddressInfo } from 'node:net';

import express = require('express');

import { type Sum, sumUrls, TrackUsage, type TrackUsageOptions, type UsageRecord } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';

const app = express();
const options: TrackUsageOptions = {
  site: 'shop',
  username: (request) => request.user?.name,
  journal: { mode: 'group' },
};
const usage = new TrackUsage<{ plan: string }>(
  app,
  [new SqliteStorage('usage.db', { hooks: [sumUrls] })],
  options,
);
app.use((request, response) => {
  usage.vars(request).plan = 'free';
  // @ts-expect-error: the notes have a type
  usage.vars(request).price = 1;
  response.send('hello');
});
const server = app.listen(0, '127.0.0.1', async () => {
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const path of ['/', '/about', '/']) await fetch(origin + path);
  await usage.flush({ timeout: 30_000 });
  const urls: Sum[] = await usage.getSum(sumUrls, { period: 'day' });
  const periods: Record<'hour' | 'day' | 'month', Sum[]> = await usage.getSum('urls');
  const records: UsageRecord[] = await usage.getUsage();
  console.log(JSON.stringify(urls.map(({ key, hits }) => [key?.slice(origin.length), hits])));
  if (periods.month.length !== urls.length || records.length !== 3) process.exitCode = 1;
  server.close();
  server.closeAllConnections();
  await usage.close({ timeout: 30_000 });
});
