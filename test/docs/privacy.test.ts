import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express, { type Express } from 'express';
import { expect, test } from 'vitest';
import { TrackUsage, type TrackUsageOptions } from '../../src/index.ts';
import { SqliteStorage, type SqliteStorageOptions } from '../../src/storages/sqlite/index.ts';
import { http1Client } from '../support/client.ts';
import { closeServer, listen } from '../support/engines.ts';
import { section } from './documentation.ts';

const CHROME =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.61 Safari/537.36';
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0';
const GOOGLEBOT = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)';
const credentials = `Basic ${Buffer.from('augusta:x').toString('base64')}`;

/** Runs the program of the page in a directory. */
function run(directory: string) {
  const [, program = ''] =
    /```js\n(.*?)```/s.exec(section('docs/guides/privacy.md', 'gdpr configuration')) ?? [];
  const problems: string[] = [];
  class Storage extends SqliteStorage {
    constructor(path: string, options: SqliteStorageOptions) {
      super(join(directory, path), options);
    }
  }
  class Usage extends TrackUsage {
    constructor(app: Express, storage: SqliteStorage, options: TrackUsageOptions) {
      const journal = { ...options.journal, dir: directory };
      super(app, storage, { ...options, journal, onError: ({ message }) => problems.push(message) });
    }
  }
  const body = `${program.replace(/^import .*;\n/gm, '')}\nreturn { app, usage };`;
  const made = new Function('express', 'TrackUsage', 'SqliteStorage', body)(express, Usage, Storage);
  return { ...(made as { app: Express; usage: TrackUsage }), problems };
}

test('the configuration for the GDPR stores no data about a person', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
  const { app, usage, problems } = run(directory);
  app.get('/a', (_request, response) => void response.send('fine'));
  const { server, address } = await listen(app as unknown as { listen(port: number, host: string): Server });
  const client = http1Client(address);
  const request = (from: string, agent: string, more: Record<string, string> = {}) =>
    client.request({
      path: '/a?gclid=Cj0KCQ&page=2',
      headers: {
        'X-Forwarded-For': from,
        'User-Agent': agent,
        'Accept-Language': 'de-AT',
        Authorization: credentials,
        ...more,
      },
    });
  const responses = [
    await request('8.8.8.8', CHROME),
    await request('8.8.8.8', CHROME),
    await request('8.8.8.8', FIREFOX),
    await request('8.8.4.4', CHROME),
    await request('8.8.4.4', GOOGLEBOT),
    await request('9.9.9.9', CHROME, { DNT: '1', Referer: 'https://elsewhere.example/' }),
    await request('9.9.9.9', CHROME, { 'Sec-GPC': '1' }),
  ];
  client.close();
  await closeServer(server);
  await usage.flush();
  const { totals } = await usage.query.totals({ range: 'today' });
  const records = await usage.getUsage({ limit: 0 });
  const found = {
    totals: { hits: totals.hits, visitors: totals.visitors, bots: totals.bots },
    countries: new Set(records.map(({ country }) => country)),
    agents: new Set(records.map(({ userAgent }) => userAgent?.string)),
  };
  await usage.close();
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((file) =>
    file.isFile(),
  );
  const stored = files
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1'))
    .join('\n');
  await rm(directory, { recursive: true });

  expect(problems).toEqual([]);
  expect(responses.map(({ headers }) => headers['set-cookie'])).toEqual(Array(7).fill(undefined));
  expect(found).toEqual({
    totals: { hits: 7, visitors: 3, bots: 1 },
    countries: new Set(['US', null]),
    agents: new Set(['Chrome/126 (Windows)', 'Firefox/128 (Linux)', 'Googlebot/2', undefined]),
  });
  expect(stored).toContain('Chrome/126 (Windows)');
  const personal = ['8.8.8.8', '8.8.4.4', '9.9.9.9', '6478', 'Gecko', 'augusta', 'Cj0KCQ', 'elsewhere'];
  expect(personal.filter((text) => stored.includes(text))).toEqual([]);
});
