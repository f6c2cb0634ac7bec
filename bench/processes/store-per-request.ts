/**
 * Process that stores requests as Flask-Track-Usage does: one row and 15 upserts of sums per request.
 */
import pg from 'pg';
import type { CapturedFields } from '../../src/capture/record-sink.ts';
import { handleCalls } from '../support/child.ts';
import { traffic } from '../support/traffic.ts';

const PERIODS = { hourly: 3_600_000, daily: 86_400_000, monthly: 31 * 86_400_000 };
/** SQL summaries of Flask-Track-Usage's storage. */
const KEYS: Record<string, (fields: CapturedFields) => string> = {
  url: ({ url }) => url,
  remote: ({ remoteAddr }) => remoteAddr,
  useragent: ({ agent }) => agent,
  language: ({ acceptLanguage }) => acceptLanguage,
  server: () => 'server',
};

handleCalls({
  /** Stores `count` requests. Returns the duration in s. */
  async store({ url, count }: { url: string; count: number }): Promise<number> {
    const client = new pg.Client(url);
    await client.connect();
    await client.query(`
      CREATE TABLE flask_usage (
        id serial PRIMARY KEY, url text, agent text, blueprint text, view_args text, status int, remote_addr text,
        xforwardedfor text, "authorization" boolean, ip_info text, path text, speed float, datetime timestamp)`);
    for (const summary of Object.keys(KEYS)) {
      for (const period of Object.keys(PERIODS)) {
        await client.query(`
          CREATE TABLE ${summary}_${period} (
            date timestamp, key text, hits int, transfer bigint, PRIMARY KEY (date, key))`);
      }
    }
    const started = performance.now();
    for (const fields of traffic(count, 'zipf')) await storeOne(client, fields);
    const seconds = (performance.now() - started) / 1000;
    await client.end();
    return seconds;
  },
});

async function storeOne(client: pg.Client, fields: CapturedFields): Promise<void> {
  const date = new Date(fields.date);
  await client.query('BEGIN');
  await client.query({
    name: 'row',
    text: `INSERT INTO flask_usage (url, agent, status, remote_addr, "authorization", path, speed, datetime)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    values: [
      fields.url,
      fields.agent,
      fields.status,
      fields.remoteAddr,
      fields.credentials,
      new URL(fields.url).pathname,
      fields.duration / 1e6,
      date,
    ],
  });
  for (const [summary, keyOf] of Object.entries(KEYS)) {
    for (const [period, length] of Object.entries(PERIODS)) {
      await client.query({
        name: `${summary} ${period}`,
        text: `INSERT INTO ${summary}_${period} AS t VALUES ($1, $2, 1, $3)
               ON CONFLICT (date, key) DO UPDATE SET hits = t.hits + 1, transfer = t.transfer + excluded.transfer`,
        values: [new Date(fields.date - (fields.date % length)), keyOf(fields), fields.contentLength],
      });
    }
  }
  await client.query('COMMIT');
}
