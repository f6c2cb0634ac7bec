import { randomUUID } from 'node:crypto';
import { TrackUsageError } from '../errors.ts';
import { wallClock } from '../platform/clock.ts';
import { invalid } from '../query/invalid.ts';
import type { When } from '../query/range.ts';
import type { Storage } from '../query/storage.ts';
import { storedZone } from '../query/stored-zone.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { StorageTimes } from '../storage/contract.ts';
import { ANY_DATE } from '../storage/cursor.ts';
import { pruneSteps } from '../storage/prune.ts';
import { type ClockJump, type PrunePlan, planPruning } from '../storage/prune-plan.ts';
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
   * not be in the future. Defaults to the retention stored by the app.
   */
  before?: When | undefined;
  /**
   * Parts to delete. Hours are deleted together with days, and days together with months. Defaults to all parts; without
   * `before`, to all that have a retention.
   */
  parts?: readonly Part[] | undefined;
  /**
   * True to apply the retention even if the clock is more than 7 days ahead of the last pruning. Defaults to false: the
   * clock may be wrong, so nothing is deleted. Not needed with `before`.
   */
  trustClock?: boolean | undefined;
  /** True to count without deleting anything. Defaults to false. */
  dryRun?: boolean | undefined;
  /** Called after each step with the progress. */
  onProgress?: ((progress: PruneProgress) => void) | undefined;
}

/** Progress of `prune`. */
export interface PruneProgress {
  /** Part that is being deleted; `texts` for unreferenced texts. */
  part: Part | 'texts';
  /** Number of rows of this part deleted so far. */
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
  /**
   * Set if the clock is more than 7 days ahead of the last pruning, and may be wrong; otherwise `null`, and always with
   * `before`. Set only in a dry run or with `trustClock`, because `prune` otherwise rejects.
   */
  jump: PrunedJump | null;
  /**
   * Starts of kept data that a wrong clock had moved into the future, and that are moved back to the present, where the
   * data begins now. Empty if there are none. A dry run changes none of them.
   */
  corrected: CorrectedStart[];
}

/** Start of kept data that a wrong clock had moved into the future. */
export interface CorrectedStart {
  /** Part whose data is kept from then on. */
  part: Part;
  /** Corrected start, with the site's offset. */
  start: string;
}

/** Clock that is more than 7 days ahead of the last pruning. */
export interface PrunedJump {
  /** Time of the clock, with the site's offset. */
  now: string;
  /** Date of the last pruning, or of the newest record if nothing was pruned yet. */
  last: string;
}

/** Parts that are deleted together with a part. */
const INCLUDED: Readonly<Record<Part, readonly Part[]>> = {
  records: ['records'],
  hour: ['hour'],
  day: ['hour', 'day'],
  month: ['hour', 'day', 'month'],
};

/** Deletes old data on demand. Apps delete expired data automatically. Only one process at a time can prune a site. */
export async function prune(options: PruneOptions): Promise<PruneResult> {
  const { storage, site = 'default', dryRun = false } = options;
  const zone = await storedZone(storage, site);
  const { plan, jump, corrected, rows } = dryRun
    ? await dryRunOf(options, zone)
    : await deleteExpired(options, zone);
  const parts = PARTS.flatMap((part): PrunedPart[] => {
    const { keep = 'forever', before = null } = plan[part] ?? {};
    return before === null ? [] : [{ part, keep, before: zone.format(before), rows: rows[part] }];
  });
  const starts = PARTS.flatMap((part): CorrectedStart[] => {
    const { before = null } = corrected[part] ?? {};
    return before === null ? [] : [{ part, start: zone.format(before) }];
  });
  return { site, parts, jump: jump ? datesOf(jump, zone) : null, corrected: starts };
}

interface Pruned extends Pick<PrunePlan, 'plan' | 'jump' | 'corrected'> {
  rows: Record<Part, number>;
}

async function dryRunOf(options: PruneOptions, zone: Calendar): Promise<Pruned> {
  const { storage, site = 'default' } = options;
  const { reader } = storage;
  const [newest] = await reader.usage({ site, ...ANY_DATE, limit: 1, offset: 0 });
  const retention = await reader.retention(site);
  const planned = planOf(options, zone, { now: undefined, newest: newest?.date, retention });
  return { ...planned, rows: await countOf(reader, site, planned.plan) };
}

function planOf({ before, parts }: PruneOptions, zone: Calendar, times: StorageTimes): PrunePlan {
  const clock = wallClock.now();
  const keep = keepTimesOf(times.retention);
  const wanted = new Set(parts?.flatMap((part) => INCLUDED[part]) ?? PARTS);
  const planned = planPruning(keep, zone, clock, times);
  const planBefore = (horizon: (part: Part) => number | null): StoredRetention =>
    Object.fromEntries(
      PARTS.map((part) => [part, { keep: keep[part], before: wanted.has(part) ? horizon(part) : null }]),
    );
  if (before === undefined) {
    const plan = planBefore((part) => planned.plan[part]?.before ?? null);
    const isEmpty = Object.values(plan).every((part) => part?.before === null);
    return { ...planned, plan, jump: isEmpty ? undefined : planned.jump };
  }
  const at = zone.parse(before, 'before');
  // Data before the date stays hidden, and so would new requests until a future date.
  if (at > clock) throw invalid('before', before, 'a time in the past');
  return { ...planned, plan: planBefore((part) => zone.bucketOf(ALIGNED_TO[part], at)), jump: undefined };
}

function datesOf({ now, last }: ClockJump, zone: Calendar): PrunedJump {
  return { now: zone.format(now), last: zone.format(last) };
}

async function deleteExpired(options: PruneOptions, zone: Calendar): Promise<Pruned> {
  const { storage, site = 'default', trustClock = false, onProgress = () => {} } = options;
  const rows = { records: 0, hour: 0, day: 0, month: 0, texts: 0 };
  const { writer, maintenance } = await openMaintenance(storage, site, zone.timeZone);
  try {
    const { plan, jump, corrected } = planOf(options, zone, await maintenance.times());
    if (jump && !trustClock) {
      throw new TrackUsageError('PRUNE_IMPLAUSIBLE', { value: storage.label, ...datesOf(jump, zone) });
    }
    const steps = pruneSteps(maintenance, plan, randomUUID(), corrected);
    for (let step = await steps.next(); ; step = await steps.next()) {
      if (step.done) {
        if (step.value) return { plan, jump, corrected, rows };
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
