import { describe, expect, test } from 'vitest';
import { load, newOutcomes } from '../crash/load.ts';
import { serverHits, trackedServer } from './support.ts';

const REQUESTS = 100_000;

describe('exactness', () => {
  test.each(['append', 'group'] as const)(
    '100,000 real requests of 5 clients give exactly their counts, bytes included (mode %s)',
    { timeout: 180_000 },
    async (mode) => {
      const { usage, server, port } = await trackedServer({ journal: { mode } });
      server.removeAllListeners('request');
      server.on('request', (request, response) => {
        const size = Number(/\d+$/.exec(request.url!)![0]) % 97;
        if (size % 3 === 0) response.end('x'.repeat(size));
        else {
          response.write('x'.repeat(size));
          response.end();
        }
      });
      let left = REQUESTS;
      const outcomes = newOutcomes();
      const clients = Array.from({ length: 5 }, () =>
        load(port, 8, outcomes, () => (left-- > 0 ? `/page/${left % 1000}` : undefined)),
      );
      await Promise.all(clients);
      await usage.flush({ timeout: 60_000 });
      const sums = await usage.getSum('urls', { period: 'month', limit: 0 });
      const counted = Object.fromEntries(
        sums.map(({ key, hits, transfer }) => [new URL(key!).pathname, { hits, bytes: transfer }]),
      );
      expect(outcomes.cut.size).toBe(0);
      expect(counted).toEqual(Object.fromEntries(outcomes.received));
      expect(await serverHits(usage)).toBe(REQUESTS);
      expect(usage.status()).toMatchObject({
        captured: REQUESTS,
        journaled: REQUESTS,
        dropped: { journal: 0, capture: 0 },
        storages: [{ committed: REQUESTS, rejected: 0, lost: 0, lag: { records: 0 } }],
      });
    },
  );
});
