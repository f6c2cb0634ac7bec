import { isDeepStrictEqual } from 'node:util';
import { monotonicClock, setTimeout } from '../../platform/clock.ts';
import type {
  Keys,
  KeysRequest,
  Matching,
  Recount,
  RecountRequest,
  Scanned,
  ScanRequest,
} from '../../storage/contract.ts';
import { RecordFolds } from '../../storage/fold-records.ts';
import type { RecordRow } from '../../storage/record-row.ts';
import { recountBusy, recountIn } from '../../storage/recount.ts';
import { COVERAGE } from '../../summaries/coverage.ts';
import { isInProgress } from './progress.ts';

/** Time after which a recount fails because batches are always in progress. In ms. */
const TIMEOUT = 20_000;
/** Interval between two attempts. In ms. */
const INTERVAL = 10;
/** Number of attempts that do not delay batches. */
const PASSIVE_ATTEMPTS = 3;
/** Maximum time for which a recount delays the beginning of batches. In ms. */
const MAX_PAUSE = 2_000;

/** Reads of a recount. */
interface Source {
  /** Reads the sums. */
  keys(request: KeysRequest): Promise<Keys>;
  /** Returns the entries of all journals. */
  entries(): Promise<string[]>;
  /** Keeps batches of a range from beginning for a time; 0 ends that. In ms. */
  pause(ms: number): Promise<void>;
  /** Returns the ID of the newest record. */
  last(): Promise<string>;
  /** Reads the records up to one. */
  rows(request: Matching, last: string): AsyncIterable<readonly RecordRow[]>;
  /** Reads a page of the records up to one. */
  scan(request: ScanRequest, last: string): Promise<Scanned>;
}

/**
 * Recounts a bucket at a point in time at which no batch that changes it is in progress. Of the records, only the ID of
 * the newest one is read at that time. The records up to it can be read while others are added.
 */
export async function recountAtOnce(request: RecountRequest, source: Source): Promise<Recount> {
  const { stored, coverage, last } = await sumsAtOnce(request, source);
  const folds = new RecordFolds((matching) => source.rows(matching, last));
  return recountIn(
    {
      keys: async ({ summary }) => (summary === COVERAGE.name ? coverage : stored),
      matchingKeys: (keys) => folds.matchingKeys(keys),
      scan: (page) => source.scan(page, last),
    },
    request,
  );
}

/** Repeats attempts. If batches follow each other without a gap, makes one: batches wait for a few milliseconds. */
async function sumsAtOnce(request: RecountRequest, source: Source) {
  const end = monotonicClock.now() + TIMEOUT;
  let pausedUntil = Number.NEGATIVE_INFINITY;
  try {
    for (let attempts = 1; ; attempts++) {
      const found = await attempt(request, source);
      if (found) return found;
      const now = monotonicClock.now();
      if (now > end) throw recountBusy(request, TIMEOUT);
      if (attempts >= PASSIVE_ATTEMPTS && now > pausedUntil) {
        pausedUntil = now + MAX_PAUSE;
        await source.pause(MAX_PAUSE);
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    }
  } finally {
    if (pausedUntil > Number.NEGATIVE_INFINITY) await source.pause(0);
  }
}

/**
 * Reads the sums twice. If they are equal and no batch is in progress between the two, each batch is in all of them
 * or in none: one that is complete in between is in the second, and one that begins later is not in the first. So the
 * same holds for the newest record, which is read in between, too.
 */
async function attempt(request: RecountRequest, source: Source) {
  const { site, summary, period, from } = request;
  const sums = (name: string) =>
    source.keys({
      site,
      summary: name,
      spans: [{ period, from, to: from }],
      order: 'hits',
      search: undefined,
      limit: 0,
      offset: 0,
    });
  const both = async () => ({ stored: await sums(summary.name), coverage: await sums(COVERAGE.name) });
  const isBusy = async () => (await source.entries()).some((entry) => isInProgress(entry, site, request));
  const before = await both();
  if (await isBusy()) return undefined;
  const last = await source.last();
  if (await isBusy()) return undefined;
  return isDeepStrictEqual(before, await both()) ? { ...before, last } : undefined;
}
