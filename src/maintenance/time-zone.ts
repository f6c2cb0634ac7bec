import { randomInt } from 'node:crypto';
import { TrackUsageError } from '../errors.ts';
import { monotonicClock, setTimeout } from '../platform/clock.ts';
import type { Storage } from '../query/storage.ts';
import { storedNames } from '../query/sums-and-records.ts';
import type { DeltaRow } from '../storage/batch-rows.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { MaxKeys, StorageMaintenance } from '../storage/contract.ts';
import { ANY_DATE } from '../storage/cursor.ts';
import { maxKeysIn } from '../storage/key-budget.ts';
import { minus, noMeasures } from '../storage/measures.ts';
import { FIRST_ROWS, Lease, nextLimit } from '../storage/prune.ts';
import { CHANGES, COVERAGE, coverageKey, coveredBy } from '../summaries/coverage.ts';
import type { Summary } from '../summaries/define.ts';
import { calendar, changingTo, PERIODS, type Period, targetOf } from '../summaries/periods.ts';
import { wantedSums } from './compare.ts';
import { changeMark, type MaintenanceSession, withMaintenance } from './delta-journal.ts';
import { examine, recountOf, wantedCoverage } from './examine.ts';
import { KeptLease } from './kept-lease.ts';
import { missingRecords, type RebuildResult } from './rebuild-buckets.ts';
import { bucketsOf, definitionsOf, type Scope, type ScopeOptions } from './scope.ts';
import { Findings } from './verify.ts';

/** Change of a site's time zone. */
export interface TimeZoneChange extends Pick<ScopeOptions, 'summaries' | 'onProgress'> {
  storage: Storage;
  site: string;
  /** Stored time zone, or the target of an interrupted change: see `changingTo`. */
  stored: string;
  /** Time zone to which the site is changed. */
  timeZone: string;
  maxKeys: MaxKeys | undefined;
  /** True to reduce the sums to the records where records are missing for an unknown reason. */
  force: boolean;
}

/**
 * Bucket of `CHANGES`, later than all others, with a key that lists the summaries of the site, because some engines do not
 * know their names once all sums are removed. It starts in the middle of a month, which is the same one in every zone.
 */
const STATE: Pick<DeltaRow, 'summary' | 'period' | 'bucket'> = {
  summary: CHANGES.name,
  period: 'month',
  bucket: Date.UTC(2106, 0, 15, 12),
};
/** Maximum number of changes added to make readers drop their cached sums. */
const MAX_CHANGES = 2 ** 31;
/** Holder of the lease for pruning. Constant, so that the next run can take over the lease of a killed one. */
const HOLDER = 'time zone';
/** Number of sums after which a batch is stored. */
const ROWS_PER_BATCH = 5_000;
/** Maximum time to wait for an app to finish pruning, and the interval between two attempts. In ms. */
const PRUNE_TIMEOUT = 60_000;
const POLL_INTERVAL = 100;

/**
 * Changes the time zone of a site:
 *
 * 1. Checks that the records cover all sums, so that these can be counted again. Otherwise, changes nothing.
 * 2. Stores `changingTo(timeZone)` as the site's zone. No app can be configured with it, so from then on, every app is
 *    refused, even one that already has the storage open.
 * 3. Removes the sums, counts them again in the new calendar, and compares their totals with the records.
 * 4. Stores the new zone.
 *
 * After an interruption, the stored zone shows that the first two steps are complete. The third one is then repeated.
 */
export async function changeTimeZone(change: TimeZoneChange): Promise<RebuildResult> {
  const { storage, site, stored, timeZone } = change;
  const target = changingTo(timeZone);
  if (stored !== target) {
    await withMaintenance(storage, site, stored, async (session) => {
      const lease = await pruneLease(change, session);
      try {
        if (targetOf(stored) === undefined) await check(change, session);
        await lease.confirm();
        await store(change, session.maintenance, stored, target);
        // Not released: the rest of the change continues with it.
        lease.stop();
      } catch (error) {
        await lease.release();
        throw error;
      }
    });
  }
  return withMaintenance(storage, site, target, async (session) => {
    const lease = await pruneLease(change, session);
    try {
      const renewed: MaintenanceSession = {
        ...session,
        async renew() {
          await session.renew();
          await lease.renew();
        },
        async change(changes) {
          await lease.confirm();
          await session.change(changes);
        },
      };
      return await countAgain(change, renewed);
    } finally {
      await lease.release();
    }
  });
}

/** Throws if the sums cannot be counted again from the records. */
async function check(change: TimeZoneChange, session: MaintenanceSession): Promise<void> {
  const { storage, site, stored, force, onProgress } = change;
  const { reader } = storage;
  const scope = await scopeOf(change, await storedNames(reader, site), stored);
  const { covered, uncovered } = await bucketsOf(scope);
  const found = new Findings(scope);
  for (const bucket of uncovered) found.addUncovered(bucket, bucket.reason);
  const [first] = found.lists().notCovered;
  if (first) {
    const why = first.reason === 'retention' ? 'of the retention' : 'a person was deleted';
    throw refused(change, `records are missing because ${why}, for the ${first.period} ${first.from}`);
  }
  const custom = scope.summaries.filter(({ column }) => column === undefined);
  for (const [done, bucket] of covered.entries()) {
    onProgress?.({ done, total: covered.length });
    await session.renew();
    const missing = force ? undefined : await missingRecords(scope, bucket);
    if (missing) {
      const { period, from } = bucket;
      throw refused(
        change,
        `the ${period} ${scope.zone.format(from)} counts ${missing.stored} requests, and has ${missing.records} records`,
      );
    }
    for (const summary of custom) {
      const finding = await examine(scope, bucket, summary);
      if (finding.kind === 'uncountable') throw refused(change, finding.reason);
    }
  }
}

/** Replaces all sums with those of the records, and stores the new time zone. */
async function countAgain(change: TimeZoneChange, session: MaintenanceSession): Promise<RebuildResult> {
  const { storage, site, timeZone } = change;
  const { reader } = storage;
  const { maintenance } = session;
  const target = changingTo(timeZone);
  // After an interruption, the stored zone does not show whether batches of other writers have ended.
  await store(change, maintenance, target, target);
  const names = await savedNames(reader, session, site);
  await removeSums(session);
  const scope: Scope = { ...(await scopeOf(change, names, target)), isCovered: true };
  const filled = await fill(change, scope, session);
  await compare(change, scope);
  const states = await stateOf(reader, site);
  const [newest] = await reader.usage({ site, ...ANY_DATE, limit: 1, offset: 0 });
  await session.change([
    ...states.map(({ key, bucket: _, ...row }) => ({ ...STATE, key, ...minus(noMeasures(), row) })),
    // The number of changes was removed with the sums, and must differ from the previous one.
    ...(newest ? [{ ...changeMark(scope.zone, newest.date), hits: randomInt(1, MAX_CHANGES) }] : []),
  ]);
  await store(change, maintenance, target, timeZone);
  return {
    ...{ site, timeZone, summaries: names, ...filled, filled: 0 },
    ...{ notCovered: [], refused: [], uncountable: [] },
  };
}

/** Counts the records of all buckets. Their sums are empty, and no app can store requests. */
async function fill(
  { maxKeys, onProgress }: TimeZoneChange,
  scope: Scope,
  session: MaintenanceSession,
): Promise<Pick<RebuildResult, 'rebuilt' | 'keys'>> {
  const { zone, summaries } = scope;
  const { covered } = await bucketsOf(scope);
  const result = { rebuilt: 0, keys: 0 };
  let changes: DeltaRow[] = [];
  const write = async () => {
    const months = new Set(changes.map(({ bucket }) => zone.monthOf(bucket)));
    await session.change([...changes, ...[...months].map((month) => changeMark(zone, month))]);
    changes = [];
  };
  for (const [done, bucket] of covered.entries()) {
    onProgress?.({ done, total: covered.length });
    // Not between two reads for the same batch, so that the loss of the lease is noticed when the batch is stored.
    if (changes.length === 0) await session.renew();
    const { period, from } = bucket;
    for (const summary of [...summaries, COVERAGE]) {
      const { name } = summary;
      const recount = await recountOf(scope, bucket, summary);
      const wanted =
        name === COVERAGE.name
          ? wantedCoverage(recount, summaries)
          : wantedSums([], recount.counted, maxKeysIn(maxKeys, name, period));
      for (const [key, measures] of wanted)
        changes.push({ summary: name, period, bucket: from, key, ...measures });
      result.rebuilt += 1;
      result.keys += wanted.size;
      if (changes.length >= ROWS_PER_BATCH) await write();
    }
  }
  await write();
  return result;
}

async function scopeOf(
  { storage, site, summaries = [] }: TimeZoneChange,
  stored: readonly string[],
  timeZone: string,
): Promise<Scope> {
  const definitions: Summary[] = definitionsOf(storage, summaries, stored);
  return { reader: storage.reader, site, zone: calendar(timeZone), summaries: definitions, range: ANY_DATE };
}

/** Stores a time zone. From then on, no app with another one can store requests. */
async function store(
  change: TimeZoneChange,
  maintenance: StorageMaintenance,
  from: string,
  to: string,
): Promise<void> {
  if (await maintenance.setTimeZone({ from, to })) return;
  throw interrupted(change, 'another program changed it at the same time');
}

/** Returns the names of the summaries at the beginning of the change, and saves them if necessary. */
async function savedNames(
  reader: CompleteReader,
  session: MaintenanceSession,
  site: string,
): Promise<string[]> {
  const [saved] = await stateOf(reader, site);
  if (saved) return coveredBy(saved.key);
  const names = await storedNames(reader, site);
  const key = coverageKey(
    names.map((name) => ({ name })),
    false,
  );
  await session.change([{ ...STATE, key, ...noMeasures(), hits: 1 }]);
  return names;
}

function stateOf(reader: CompleteReader, site: string) {
  const { summary, period, bucket } = STATE;
  const range = { from: bucket, to: bucket };
  return reader.sums({ site, summary, period, ...range, target: undefined, limit: 0, offset: 0 });
}

/** Removes all sums except the saved names of the summaries. */
async function removeSums({ maintenance, renew }: MaintenanceSession): Promise<void> {
  for (const part of PERIODS) {
    let limit = FIRST_ROWS;
    for (;;) {
      await renew();
      const begin = monotonicClock.now();
      if ((await maintenance.prune({ part, before: STATE.bucket, limit })) === 0) break;
      limit = nextLimit(limit, monotonicClock.now() - begin);
    }
  }
}

/**
 * Throws if the sums are not exactly those of the records in the new calendar. Needed for engines that cannot refuse a
 * batch that is already being stored.
 */
async function compare(change: TimeZoneChange, { reader, site, zone }: Scope): Promise<void> {
  const retention = await reader.retention(site);
  const startOf = (period: Period): number => {
    const pruned = retention[period]?.before ?? null;
    const kept = retention.records?.before ?? null;
    if (pruned === null && kept === null) return ANY_DATE.from;
    const start = zone.bucketOf(period, Math.max(pruned ?? ANY_DATE.from, kept ?? ANY_DATE.from));
    return pruned !== null && start < pruned ? zone.next(period, start) : start;
  };
  for (const period of PERIODS) {
    const range = { from: startOf(period), to: STATE.bucket - 1 };
    const request = { site, summary: COVERAGE.name, period, ...range, target: undefined };
    const buckets = await reader.series(request);
    const other = buckets.find(({ bucket }) => zone.bucketOf(period, bucket) !== bucket);
    const page = { order: 'hits', search: undefined, limit: 1, offset: 0 } as const;
    const { total } = await reader.matchingKeys({ site, ...range, where: [], column: 'method', ...page });
    const counted = buckets.reduce((sum, { hits }) => sum + hits, 0);
    if (other === undefined && counted === total.hits) continue;
    throw interrupted(change, 'an app stored requests meanwhile');
  }
}

/**
 * Prevents apps from deleting data, because records whose sums have been removed must be kept. Waits for a pruning that is
 * in progress.
 */
async function pruneLease(change: TimeZoneChange, session: MaintenanceSession): Promise<KeptLease> {
  const lease = new Lease(session.maintenance, 'prune', HOLDER);
  for (const deadline = monotonicClock.now() + PRUNE_TIMEOUT; !(await lease.acquire()); ) {
    if (monotonicClock.now() >= deadline) throw busy(change);
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    await session.renew();
  }
  return new KeptLease(lease, () => busy(change));
}

function busy({ storage, site }: TimeZoneChange): TrackUsageError {
  return new TrackUsageError('MAINTENANCE_BUSY', { value: storage.label, site });
}

function interrupted({ storage, site }: TimeZoneChange, reason: string): TrackUsageError {
  return new TrackUsageError('TIME_ZONE_BUSY', { value: storage.label, site, reason });
}

function refused({ storage, site }: TimeZoneChange, reason: string): TrackUsageError {
  return new TrackUsageError('TIME_ZONE_REFUSED', { value: storage.label, site, reason });
}
