import type { RecordBatch } from '../batch.ts';
import { show, TrackUsageError } from '../errors.ts';
import { checkOptions, isWholeNumber } from '../options/checks.ts';
import { OTHERS, RESERVED } from '../summaries/coverage.ts';
import type { DeltaGroup, Deltas } from '../summaries/fold.ts';
import { companionBase, latencyKey, partsOfLatencyKey } from '../summaries/latency.ts';
import { PERIODS, type Period } from '../summaries/periods.ts';
import { sumVisitors } from '../summaries/standard.ts';
import type { MaxKeys } from './contract.ts';
import { MEASURES } from './measures.ts';
import { isDailyVisitor } from './visitors.ts';

/** Maximum number of keys in a bucket of each period. */
export type PeriodLimits = { readonly [period in Period]?: number };

/**
 * Maximum number of keys in a bucket, for each period. The keys `null` and `OTHERS` do not count.
 */
export interface MaxKeysOptions extends PeriodLimits {
  /** Limits of individual summaries by name, for example `{ urls: { hour: 50_000 } }`. */
  summaries?: Readonly<Record<string, number | PeriodLimits>>;
}

const DEFAULTS: Readonly<Record<Period, number>> = { hour: 10_000, day: 50_000, month: 50_000 };
const EXPECTED = 'a whole number of keys, at least 1';

/** Checks the option `maxKeys` and adds the defaults. */
export function maxKeysOf(options: number | MaxKeysOptions | undefined): MaxKeys {
  const name = 'maxKeys';
  if (typeof options === 'number' || options === undefined) {
    return { all: limitsOf(options, DEFAULTS, name), summaries: {} };
  }
  checkOptions(name, options, [...PERIODS, 'summaries']);
  const { summaries = {}, ...periods } = options;
  checkOptions(`${name}.summaries`, summaries, Object.keys(summaries ?? {}));
  const all = limitsOf(periods, DEFAULTS, name);
  return {
    all,
    summaries: Object.fromEntries(
      Object.entries(summaries).map(([summary, limits]) => [
        summary,
        limitsOf(limits, all, `${name}.summaries.${summary}`),
      ]),
    ),
  };
}

function limitsOf(
  limits: number | PeriodLimits | undefined,
  defaults: Readonly<Record<Period, number>>,
  name: string,
): Record<Period, number> {
  if (limits === undefined) return { ...defaults };
  if (typeof limits !== 'number') checkOptions(name, limits, PERIODS);
  const found = { ...defaults };
  for (const period of PERIODS) {
    const limit: unknown = typeof limits === 'number' ? limits : limits[period];
    if (limit === undefined) continue;
    if (!isWholeNumber(limit, 1)) {
      const of = typeof limits === 'number' ? name : `${name}.${period}`;
      throw new TrackUsageError('OPTION_INVALID', { name: of, value: show(limit), expected: EXPECTED });
    }
    found[period] = limit as number;
  }
  return found;
}

/**
 * Returns whether the keys of a summary count toward a budget. Those of companions follow their summary: see
 * `admittedCompanions`.
 */
export function hasBudget(summary: string): boolean {
  return !RESERVED.includes(summary) && companionBase(summary) === undefined;
}

/** Returns the maximum number of keys in a bucket of a summary; `Infinity` without a budget. */
export function maxKeysIn(maxKeys: MaxKeys | undefined, summary: string, period: Period): number {
  if (maxKeys === undefined || !hasBudget(summary)) return Number.POSITIVE_INFINITY;
  // `Object.hasOwn`, because a summary may be called `constructor`.
  const own = Object.hasOwn(maxKeys.summaries, summary) ? maxKeys.summaries[summary] : undefined;
  return (own ?? maxKeys.all)[period];
}

/** Returns whether a key counts toward the budget of its bucket. */
export function isCounted(key: string | null): boolean {
  return key !== null && key !== OTHERS;
}

function isDailyKey({ summary }: DeltaGroup, key: string | null): boolean {
  return summary.name === sumVisitors.name && key !== null && isDailyVisitor(key);
}

/** Returns whether a group reduces sums, so that keys may be removed. */
export function isNegative({ hits }: Pick<DeltaGroup, 'hits'>): boolean {
  return hits.some((each) => each < 0);
}

/** Keys that a bucket already has. */
export interface BucketKeys {
  /** Number of its keys, excluding `null` and `OTHERS`. */
  count: number;
  /** Returns whether it has a key, by the key's ID in the batch's `strings`. */
  has(key: number): boolean;
}

/**
 * Returns the sums that a batch adds to a bucket, with the keys for which there is no room counted under `OTHERS`. The
 * bucket's existing keys, `null` and `OTHERS` always have room. New keys are admitted in the order of the batch, until
 * the budget is reached. Returns the same group if every key has room.
 * @param max Maximum number of keys: see `maxKeysIn`.
 */
export function admitted(
  group: DeltaGroup,
  records: RecordBatch,
  max: number,
  bucket: BucketKeys,
): DeltaGroup {
  const { key } = group;
  if (bucket.count + key.length <= max) return group;
  let left = Math.max(0, max - bucket.count);
  const kept: number[] = [];
  const rest: number[] = [];
  let others: number | undefined;
  for (let i = 0; i < key.length; i++) {
    const local = key[i]!;
    const text = records.strings[local];
    if (text === OTHERS) others = i;
    if (!isCounted(text!) || bucket.has(local)) kept.push(i);
    else if (left > 0) {
      left -= 1;
      kept.push(i);
    } else rest.push(i);
  }
  if (rest.length === 0) return group;
  // The number of daily visitors in a month is that of its days, so nobody needs a larger budget for the month.
  const isIrrelevant =
    group.period === 'month' && rest.every((i) => isDailyKey(group, records.strings[key[i]!]!));
  if (!isIrrelevant) records.overBudget.add(group.summary.name);
  if (others === undefined) kept.push(rest.shift()!);
  const at = others === undefined ? kept.length - 1 : kept.indexOf(others);
  const found: DeltaGroup = {
    ...group,
    key: Int32Array.from(kept, (i) => key[i]!),
    hits: Float64Array.from(kept, (i) => group.hits[i]!),
    transfer: Float64Array.from(kept, (i) => group.transfer[i]!),
    errors: Float64Array.from(kept, (i) => group.errors[i]!),
    duration: Float64Array.from(kept, (i) => group.duration[i]!),
  };
  found.key[at] = records.others();
  for (const measure of MEASURES) {
    for (const i of rest) found[measure][at]! += group[measure][i]!;
  }
  return found;
}

/**
 * Returns the sums that a batch adds, with the keys that a summary counts under `OTHERS` counted under `OTHERS` in its
 * companion too, bin by bin. So no duration is lost, and a bucket has no bins of a key that the summary does not have.
 * @param deltas Sums of the batch.
 * @param changed Results of `admitted`, by group. A missing group is unchanged.
 */
export function admittedCompanions(
  deltas: Deltas,
  records: RecordBatch,
  changed: ReadonlyMap<DeltaGroup, DeltaGroup>,
): DeltaGroup[] {
  const refused = new Map<string, Set<string | null>>();
  const nameOf = (summary: string, { period, bucket }: DeltaGroup) => `${summary} ${period} ${bucket}`;
  for (const [group, found] of changed) {
    if (found !== group) refused.set(nameOf(group.summary.name, group), refusedKeys(group, found, records));
  }
  return deltas.map((group) => {
    const base = companionBase(group.summary.name);
    const keys = base === undefined ? undefined : refused.get(nameOf(base, group));
    return keys === undefined ? (changed.get(group) ?? group) : withoutKeys(group, keys, records);
  });
}

/** Returns the keys of a group that `admitted` has counted under `OTHERS`. */
export function refusedKeys(
  { key }: DeltaGroup,
  { key: kept }: Pick<DeltaGroup, 'key'>,
  { strings }: Pick<RecordBatch, 'strings'>,
): Set<string | null> {
  const refused = new Set<string | null>();
  const left = new Set(kept);
  for (const local of key) if (!left.has(local)) refused.add(strings[local]!);
  return refused;
}

/** Returns the sums of a companion, with some keys counted under `OTHERS`. */
export function withoutKeys(
  group: DeltaGroup,
  refused: ReadonlySet<string | null>,
  records: RecordBatch,
): DeltaGroup {
  if (refused.size === 0) return group;
  const hits = new Map<number, number>();
  const others = new Map<string, number>();
  for (let i = 0; i < group.key.length; i++) {
    let local = group.key[i]!;
    const { bin, key } = partsOfLatencyKey(records.strings[local]!);
    if (refused.has(key)) {
      local = others.get(bin) ?? internAgain(records, latencyKey(bin, OTHERS));
      others.set(bin, local);
    }
    hits.set(local, (hits.get(local) ?? 0) + group.hits[i]!);
  }
  const none = new Float64Array(hits.size);
  return {
    ...group,
    key: Int32Array.from(hits.keys()),
    hits: Float64Array.from(hits.values()),
    transfer: none,
    errors: none,
    duration: none,
  };
}

/**
 * Adds the texts to a batch that `admittedCompanions` may need, for a copy of the batch whose new texts would be unknown
 * here.
 */
export function internOthers({ records, deltas }: { records: RecordBatch; deltas: Deltas }): void {
  records.others();
  for (const { summary, key } of deltas) {
    if (companionBase(summary.name) === undefined) continue;
    for (const local of key) {
      records.intern(latencyKey(partsOfLatencyKey(records.strings[local]!).bin, OTHERS));
    }
  }
}

/** Returns the ID of a text. The batch may be the copy of another thread, which does not know the IDs of its texts. */
function internAgain(records: RecordBatch, text: string): number {
  const local = records.strings.indexOf(text);
  return local < 0 ? records.intern(text) : local;
}
