import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { JournalMode } from '../../src/index.ts';
import { ALL_HOOKS, library, onError } from '../support/library.ts';
import { byHand } from './by-hand.ts';
import type { Middleware } from './handler.ts';
import { PEERS } from './peers.ts';
import type { Framework, Variant } from './variant.ts';

function trackUsage(mode?: JournalMode): Variant {
  return {
    async track({ app }, directory) {
      const { TrackUsage, SqliteStorage, sumServer } = await library();
      const storage = new SqliteStorage(join(directory, 'usage.db'), { hooks: ALL_HOOKS });
      const dir = join(directory, 'journal');
      const usage = new TrackUsage(app, storage, {
        journal: mode === undefined ? { dir } : { dir, mode },
        onError,
      });
      return {
        async stored() {
          await usage.flush({ timeout: 600_000 });
          const months = await usage.getSum(sumServer, { period: 'month' });
          return months.reduce((sum, { hits }) => sum + hits, 0);
        },
        status: () => usage.status(),
      };
    },
  };
}

/**
 * Lower limit for any journal with a thread: an idle thread, and one append of a record's size before each
 * response.
 */
function floor(directory: string): Middleware {
  new Worker('setInterval(() => {}, 2 ** 30)', { eval: true, execArgv: [] }).unref();
  const file = openSync(join(directory, 'floor'), 'a');
  const bytes = Buffer.alloc(RECORD_BYTES);
  return (_request, _response, next) => {
    writeSync(file, bytes);
    next();
  };
}
/** Approximate size of a record of this load in the journal, in bytes. */
const RECORD_BYTES = 600;

export const VARIANTS = {
  bare: {},
  'idle thread, one append': { middleware: floor },
  'track-usage': trackUsage(),
  'track-usage, group': trackUsage('group'),
  'SQLite by hand': { middleware: byHand },
  ...PEERS,
} satisfies Record<string, Variant>;

export type VariantName = keyof typeof VARIANTS;

const ALL = [
  ...(['track-usage', 'track-usage, group', 'idle thread, one append'] as const),
  ...(['SQLite by hand', 'OpenTelemetry http metrics'] as const),
] as const;
const LOGGERS = ['morgan', 'pino-http', 'pino-http, buffered'] as const;

/** Variants compared with the bare server, by framework. */
export const LINE_UP: Record<Framework, readonly VariantName[]> = {
  'node:http': [...ALL, ...LOGGERS],
  'Express 5': [...ALL, ...LOGGERS, 'swagger-stats', 'express-prom-bundle'],
  'Fastify 5': [...ALL, "Fastify's logger", "Fastify's logger, buffered", 'fastify-metrics'],
  'Koa 3': [...ALL, ...LOGGERS, 'koa-logger', 'prom-client by hand', 'express-prom-bundle'],
  'Hono 4': [...ALL, ...LOGGERS, 'hono/logger', '@hono/prometheus'],
};
