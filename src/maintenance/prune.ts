import { randomUUID } from 'node:crypto';
import { TrackUsageError } from '../errors.ts';
import { wallClock } from '../platform/clock.ts';
import { invalid } from '../query/invalid.ts';
import type { When } from '../query/range.ts';
import type { Storage } from '../query/storage.ts';
import { storedZone } from '../query/stored-zone.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import { ANY_DATE } from '../storage/cursor.ts';
import { prunePlan, pruneSteps } from '../storage/prune.ts';
import { ALIGNED_TO, keepTimesOf, PARTS, type Part, type StoredRetention } from '../storage/retention.ts';
import { type Calendar, PERIODS } from '../summaries/periods.ts';
import { openMaintenance } from './delta-journal.ts';

/** Options of `prune`. */
export interface PruneOptions {
  /** Storage from which old data is deleted. */
  storage: Storage;
  /** Name of the site. Defaults to `default`. */
  site?: string | undefined;
  /**
   * Deletes data before this instant, rounded down to a day (records and hours) or month (days and months). Must
   * not be in the future. Defaults to the retention that the app has stored.
   */
  before?: When | undefined;
  /**
   * Parts to delete. Hours are deleted together with days, and days together with months. Defaults to all parts; without
   * `before`, to all that have a retention.
   */
  parts?: readonly Part[] | undefined;
  /** True to count without deleting anything. Defaults to false. */
  dryRun?: boolean | undefined;
  /** Called after each step with the progress. */
  onProgress?: ((progress: PruneProgress) => void) | undefined;
}

/** Progress of `prune`. */
export interface PruneProgress {
  /** Part that is being deleted; `texts` for unreferenced rows. */
  part: Part | 'texts';
  /** Number of deleted rows of this part. */
  rows: number;
}

/** Deletion of one part by `prune`, or in a dry run, the deletion that it would perform. */
export interface PrunedPart {
  /** The part. */
  part: Part;
  /** Retention period of the part, as stored by the app; `forever` if none is stored. */
  keep: string;
  /** End of the deleted data, with the site's offset. */
  before: string;
  /** Number of deleted rows. In a dry run, the number of records, or of buckets of all summaries. */
  rows: number;
}

/** Result of `prune`. */
export interface PruneResult {
  /** Name of the site. */
  site: string;
  /** Parts with data to delete. Empty if all are kept forever. */
  parts: PrunedPart[];
}

/** Periods that are deleted together with a part. */
const INCLUDED: Readonly<Record<Part, readonly Part[]>> = {
  records: ['records'],
  hour: ['hour'],
  day: ['hour', 'day'],
  month: ['hour', 'day', 'month'],
};

/** Deletes old data on demand. The app does the same automatically. One process at a time can do this. */
export async function prune(options: PruneOptions): Promise<PruneResult> {
  const { storage, site = 'default', dryRun = false, onProgress = () => {} } = options;
  const { reader } = storage;
  const zone = await storedZone(storage, site);
  const plan = planOf(options, zone, await reader.retention(site));
  const rows = dryRun
    ? await countOf(reader, site, plan)
    : await deleteBefore(storage, site, zone.timeZone, plan, onProgress);
  const parts = PARTS.flatMap((part): PrunedPart[] => {
    const { keep = 'forever', before = null } = plan[part] ?? {};
    return before === null ? [] : [{ part, keep, before: zone.format(before), rows: rows[part] }];
  });
  return { site, parts };
}

function planOf({ before, parts }: PruneOptions, zone: Calendar, stored: StoredRetention): StoredRetention {
  const keep = keepTimesOf(stored);
  const wanted = new Set(parts?.flatMap((part) => INCLUDED[part]) ?? PARTS);
  if (before === undefined) {
    const all = prunePlan(keep, zone, wallClock.now());
    return Object.fromEntries(
      PARTS.map((part) => [
        part,
        { keep: keep[part], before: wanted.has(part) ? (all[part]?.before ?? null) : null },
      ]),
    );
  }
  const at = zone.parse(before, 'before');
  // Deleted data stays hidden: until that date, nobody would find the requests that the app stores.
  if (at > wallClock.now()) throw invalid('before', before, 'a time in the past');
  return Object.fromEntries(
    PARTS.map((part) => [
      part,
      { keep: keep[part], before: wanted.has(part) ? zone.bucketOf(ALIGNED_TO[part], at) : null },
    ]),
  );
}

async function deleteBefore(
  storage: Storage,
  site: string,
  timeZone: string,
  plan: StoredRetention,
  onProgress: (progress: PruneProgress) => void,
): Promise<Record<Part, number>> {
  const rows = { records: 0, hour: 0, day: 0, month: 0, texts: 0 };
  const { writer, maintenance } = await openMaintenance(storage, site, timeZone);
  try {
    const steps = pruneSteps(maintenance, plan, randomUUID());
    for (let step = await steps.next(); ; step = await steps.next()) {
      if (step.done) {
        if (step.value) return rows;
        throw new TrackUsageError('MAINTENANCE_BUSY', { value: storage.label, site });
      }
      const { part } = step.value;
      rows[part] += step.value.rows;
      onProgress({ part, rows: rows[part] });
    }
  } finally {
    await writer.close();
  }
}

/** Returns the number of records and buckets that a plan deletes. */
async function countOf(
  reader: CompleteReader,
  site: string,
  plan: StoredRetention,
): Promise<Record<Part, number>> {
  const rows = { records: 0, hour: 0, day: 0, month: 0 };
  const rangeOf = (before: number) => ({ from: ANY_DATE.from, to: before - 1 });
  const { before = null } = plan.records ?? {};
  if (before !== null) {
    const page = { order: 'hits', search: undefined, limit: 1, offset: 0 } as const;
    const request = { site, ...rangeOf(before), where: [], column: 'method', ...page } as const;
    rows.records = (await reader.matchingKeys(request)).total.hits;
  }
  for (const period of PERIODS) {
    const { before: end = null } = plan[period] ?? {};
    if (end === null) continue;
    for (const summary of await reader.summaries(site)) {
      const request = { site, summary, period, ...rangeOf(end), target: undefined };
      rows[period] += (await reader.series(request)).length;
    }
  }
  return rows;
}
