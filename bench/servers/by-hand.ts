import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Middleware } from './handler.ts';

const PERIODS = ['hour', 'day', 'month'] as const;
const LENGTHS = { hour: 13, day: 10, month: 7 } as const;

/**
 * Tracking written without a library: each request's row and its 21 counters, in a transaction after the
 * response.
 */
export function byHand(directory: string): Middleware {
  const database = new DatabaseSync(join(directory, 'by-hand.db'));
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE requests (
      date INTEGER, method TEXT, url TEXT, protocol TEXT, status INTEGER, length INTEGER, duration REAL,
      remote TEXT, agent TEXT, language TEXT, referrer TEXT, visitor TEXT
    );
    CREATE TABLE sums (
      summary TEXT, period TEXT, bucket TEXT, key TEXT, hits INTEGER, transfer INTEGER,
      PRIMARY KEY (summary, period, bucket, key)
    ) WITHOUT ROWID`);
  const begin = database.prepare('BEGIN');
  const commit = database.prepare('COMMIT');
  const insert = database.prepare('INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const upsert = database.prepare(`
    INSERT INTO sums VALUES (?, ?, ?, ?, 1, ?)
    ON CONFLICT DO UPDATE SET hits = hits + 1, transfer = transfer + excluded.transfer`);

  return (request, response, next) => {
    const date = new Date();
    const started = performance.now();
    const { method = '', url = '', headers, httpVersion, socket } = request;
    const remote = socket.remoteAddress ?? '';
    response.on('finish', () => {
      const length = Number(response.getHeader('content-length') ?? 0);
      const agent = headers['user-agent'] ?? '';
      const language = headers['accept-language']?.split(/[,;]/, 1)[0] ?? '';
      const referrer = headers.referer ?? '';
      const visitor = /visitor=(\w+)/.exec(headers.cookie ?? '')?.[1] ?? '';
      const sums = {
        urls: url,
        remotes: remote,
        agents: agent,
        languages: language,
        server: 'server',
        visitors: visitor,
        geo: 'ZZ',
      };
      const iso = date.toISOString();
      begin.run();
      insert.run(
        date.getTime(),
        method,
        url,
        httpVersion,
        response.statusCode,
        length,
        performance.now() - started,
        remote,
        agent,
        language,
        referrer,
        visitor,
      );
      for (const [summary, key] of Object.entries(sums)) {
        for (const period of PERIODS) {
          upsert.run(summary, period, iso.slice(0, LENGTHS[period]), key, length);
        }
      }
      commit.run();
    });
    next();
  };
}
