import type { Calendar } from '../summaries/periods.ts';
import type { StorageTimes } from './contract.ts';
import {
  ALIGNED_TO,
  horizonsOf,
  KEEP_ALL,
  keptUntil,
  LONGEST,
  PARTS,
  type Part,
  type Retention,
  type StoredRetention,
} from './retention.ts';

const DAY = 24 * 3_600_000;
/** Maximum time since the last pruning for which a clock is trusted. In ms. */
const MAX_JUMP = 7 * DAY;
/** Maximum difference of two clocks for which both are trusted. In ms. */
const MAX_DIFFERENCE = DAY;
/** Earliest plausible time: an earlier clock was never set. In ms since 1970. */
const EARLIEST = Date.UTC(2026, 0, 1);

/** Clock that is far ahead of the last pruning. Either nothing was pruned for a long time, or the clock is wrong. */
export interface ClockJump {
  /** Time of the clock, in ms since 1970. */
  now: number;
  /** Date of the last pruning, or of the newest record if nothing was pruned yet. In ms since 1970. */
  last: number;
  /** Time up to which data may expire before the clock is trusted, at most a day or a month later. In ms since 1970. */
  next: number;
}

/** Plan of a pruning, and what it found about the clocks. */
export interface PrunePlan {
  /** Retention in force after the pruning: the periods, and the starts of the kept data. */
  plan: StoredRetention;
  /** New starts of kept data that a wrong clock moved into the future. Empty if there are none. */
  corrected: StoredRetention;
  /** Set if the clock may be wrong, so that the plan must not be followed without further evidence. */
  jump: ClockJump | undefined;
  /** Time by which the clock of this process is ahead of the server's, if more than a day. In ms. */
  ahead: number | undefined;
}

/** Returns the retention in force after a pruning: the periods, and the starts of the kept data. */
export function prunePlan(retention: Retention, zone: Calendar, now: number): StoredRetention {
  const horizons = horizonsOf(retention, zone, now);
  return Object.fromEntries(
    PARTS.map((part) => [part, { keep: retention[part], before: horizons[part] ?? null }]),
  );
}

/**
 * Plans a pruning. Data is deleted only if it has expired by both clocks, that of this process and that of the server. If
 * there is only one clock, or both are those of one machine, a jump since the last pruning shows that it may be wrong.
 */
export function planPruning(
  retention: Retention,
  zone: Calendar,
  clock: number,
  times: StorageTimes,
): PrunePlan {
  const now = Math.min(clock, times.now ?? clock);
  const ahead = clock - (times.now ?? clock);
  return {
    plan: prunePlan(retention, zone, now),
    corrected: correctedStarts(times.retention, zone, Math.max(clock, times.now ?? clock)),
    jump: jumpOf(zone, now, times),
    ahead: ahead > MAX_DIFFERENCE ? ahead : undefined,
  };
}

/** Returns whether the clock is far ahead of the last pruning. */
export function jumpOf(
  zone: Calendar,
  now: number,
  { retention, newest }: Pick<StorageTimes, 'retention' | 'newest'>,
): ClockJump | undefined {
  const pruned = PARTS.flatMap((part) => {
    const { keep = 'forever', before = null } = retention[part] ?? {};
    if (keep === 'forever' || before === null) return [];
    const kept = { ...KEEP_ALL, [part]: keep };
    const last = Math.min(keptUntil(kept, part, zone, before - 1), now);
    // By this clock, the part would have been pruned later already before the jump.
    const isLate = (horizonsOf(kept, zone, now - MAX_JUMP)[part] ?? before) > before;
    return [{ last, isLate, step: ALIGNED_TO[part] === 'day' ? DAY : LONGEST.mo! }];
  });
  // Without a pruning, records of these days are the evidence.
  if (pruned.length === 0 && newest !== undefined) {
    pruned.push({ last: newest, isLate: now - newest > MAX_JUMP, step: DAY });
  }
  const late = pruned.filter(({ isLate }) => isLate);
  if (late.length === 0) return undefined;
  const latest = (of: readonly { last: number }[]) => Math.max(...of.map(({ last }) => last));
  // Parts that are deleted by the month follow those that are deleted by the day.
  const step = Math.min(...late.map((each) => each.step));
  const next = latest(late.filter((each) => each.step === step)) + step;
  return { now, last: latest(late), next: Math.min(now, next) };
}

/**
 * Returns the starts of kept data that are in the future, and therefore from a wrong clock, moved back to the present.
 * Older data is deleted. Part of the current day or month is missing, so sums begin with the next one.
 */
export function correctedStarts(stored: StoredRetention, zone: Calendar, now: number): StoredRetention {
  if (now < EARLIEST) return {};
  const corrected: { [part in Part]?: StoredRetention[part] } = {};
  for (const part of PARTS) {
    const { keep, before = null } = stored[part] ?? {};
    if (keep === undefined || before === null) continue;
    const aligned = ALIGNED_TO[part];
    const start = part === 'records' ? now : zone.next(aligned, zone.bucketOf(aligned, now));
    if (before > start) corrected[part] = { keep, before: start };
  }
  return corrected;
}
