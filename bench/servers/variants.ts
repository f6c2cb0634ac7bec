import { createWriteStream, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { JournalMode } from '../../src/index.ts';
import { ALL_HOOKS, library, onError } from '../support/library.ts';
import { peer } from '../support/peers.ts';
import { byHand } from './by-hand.ts';
import type { Built, Middleware } from './handler.ts';

/** What is added to a server. */
export interface Variant {
  /** Goes before the handler. */
  middleware?(directory: string): Middleware;
  /** Is given the app when it has its routes; returns how to ask what was stored. */
  track?(built: Built, directory: string): Promise<() => Promise<number>>;
}

/** Ours: `stored` waits until all is stored and says how many hits the whole server has. */
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
      return async () => {
        await usage.flush({ timeout: 600_000 });
        const months = await usage.getSum(sumServer, { period: 'month' });
        return months.reduce((sum, { hits }) => sum + hits, 0);
      };
    },
  };
}

/**
 * What no journal with a thread can go below: another thread in the process, idle, and one append of a record's
 * size before each response.
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
/** About what a record of this load takes in the journal. */
const RECORD_BYTES = 600;

export const VARIANTS = {
  bare: {},
  'idle thread, one append': { middleware: floor },
  'track-usage': trackUsage(),
  'track-usage, group': trackUsage('group'),
  'SQLite by hand': { middleware: byHand },
  morgan: {
    middleware: (directory) => {
      const morgan = peer<(format: string, options: unknown) => Middleware>('morgan');
      return morgan('combined', { stream: createWriteStream(join(directory, 'access.log')) });
    },
  },
  'swagger-stats': {
    middleware: () =>
      peer<{ getMiddleware(options: unknown): Middleware }>('swagger-stats').getMiddleware({}),
  },
  'express-prom-bundle': {
    middleware: () =>
      peer<(options: unknown) => Middleware>('express-prom-bundle')({
        includeMethod: true,
        includePath: true,
      }),
  },
} satisfies Record<string, Variant>;

export type VariantName = keyof typeof VARIANTS;
