import { TrackUsageError } from '../errors.ts';
import type { DeltaRow } from '../storage/batch-rows.ts';
import type { KeyRow, MaxKeys, Measures } from '../storage/contract.ts';
import { maxKeysIn } from '../storage/key-budget.ts';
import { minus, sumOf } from '../storage/measures.ts';
import { isRebuildable } from '../storage/recount.ts';
import { COVERAGE, coverageKey, coveredBy, isOfBots, OTHERS } from '../summaries/coverage.ts';
import type { Summary } from '../summaries/define.ts';
import { companionBase } from '../summaries/latency.ts';
import { compareSums, coverageSums, wantedLatency, wantedSums } from './compare.ts';
import { changeMark, type MaintenanceSession } from './delta-journal.ts';
import { examine, type Finding, recountOf, wantedCoverage } from './examine.ts';
import { type BucketRange, bucketsOf, type Scope, type ScopeOptions } from './scope.ts';
import { type BucketList, Findings, type NotCovered, type Uncountable } from './verify.ts';

/** Bucket that was not rebuilt, because records are missing. */
export interface Refused {
  /** Period of the bucket. */
  period: BucketList['period'];
  /** Start of the bucket, with the site's offset. */
  date: string;
  /** Number of requests in the summaries. */
  stored: number;
  /** Number of records. */
  records: number;
}

/** Result of `rebuild`. */
export interface RebuildResult {
  /** Name of the site. */
  site: string;
  /** New time zone of the site. `undefined` if it was not changed. */
  timeZone?: string | undefined;
  /** Names of the rebuilt summaries. */
  summaries: string[];
  /** Number of buckets that were changed, over all summaries. */
  rebuilt: number;
  /** Number of keys whose sums were changed, over all buckets. */
  keys: number;
  /** Number of requests that were added to summaries that did not count them, over all periods. */
  filled: number;
  /** Buckets that the records do not cover completely. They were left unchanged. */
  notCovered: NotCovered[];
  /** Buckets from which records are missing for an unknown reason. They were left unchanged. */
  refused: Refused[];
  /** Summaries that were left unchanged, because their keys cannot be counted. */
  uncountable: Uncountable[];
}

/** Maximum number of times that a bucket is compared and changed. */
const MAX_ROUNDS = 5;

/** Options of a rebuild of buckets. */
export interface BucketOptions extends Pick<ScopeOptions, 'onProgress'> {
  maxKeys: MaxKeys | undefined;
  /** True to reduce the sums of buckets from which records are missing. */
  force: boolean;
}

/** Corrects the buckets of a scope to match the stored records. */
export async function rebuildBuckets(
  scope: Scope,
  session: MaintenanceSession,
  { maxKeys, force, onProgress }: BucketOptions,
): Promise<RebuildResult> {
  const { covered, uncovered } = await bucketsOf(scope);
  const found = new Findings(scope);
  for (const bucket of uncovered) found.addUncovered(bucket, bucket.reason);
  const result = { rebuilt: 0, keys: 0, filled: 0 };
  const refused: Refused[] = [];
  for (const [done, bucket] of covered.entries()) {
    onProgress?.({ done, total: covered.length });
    await session.renew();
    const missing = force ? undefined : await missingRecords(scope, bucket);
    if (missing !== undefined) {
      refused.push({ period: bucket.period, date: scope.zone.format(bucket.from), ...missing });
      continue;
    }
    const rebuilder = new BucketRebuilder(scope, bucket, session, (name) =>
      maxKeysIn(maxKeys, name, bucket.period),
    );
    for (const summary of [...scope.summaries, COVERAGE]) {
      const outcome = await rebuilder.rebuild(summary);
      if (outcome.kind === 'uncountable') found.addUncountable(summary.name, outcome.reason);
      if (outcome.kind === 'uncovered') {
        found.addUncovered(bucket, outcome.reason);
        break;
      }
    }
    result.rebuilt += rebuilder.rebuilt;
    result.keys += rebuilder.keys;
    result.filled += rebuilder.filled;
  }
  const { notCovered, uncountable } = found.lists();
  const summaries = scope.summaries.map(({ name }) => name);
  return { site: scope.site, summaries, ...result, notCovered, refused, uncountable };
}

/**
 * Returns the numbers of requests and records if records are missing: `COVERAGE` counts more requests than there are
 * records, and at least one summary agrees with it. Others may be damaged as well.
 */
export async function missingRecords(
  scope: Scope,
  bucket: BucketRange,
): Promise<{ stored: number; records: number } | undefined> {
  const finding = await examine(scope, bucket, COVERAGE);
  if (finding.kind !== 'different' || finding.coverage.all.hits <= finding.recount.records) return undefined;
  const missing = { stored: finding.coverage.all.hits, records: finding.recount.records };
  const names = new Set(finding.recount.coverage.flatMap(({ key }) => coveredBy(key)));
  const columns = scope.summaries.filter(({ name, column }) => column !== undefined && names.has(name));
  for (const summary of columns) {
    // Both of one point in time, because an app may store requests meanwhile.
    const { stored, coverage } = await recountOf(scope, bucket, summary);
    if (sumOf(stored).hits === coverageSums(coverage).of(summary.name)) return missing;
  }
  return columns.length === 0 ? missing : undefined;
}

/** Rebuilds the summaries of one bucket. */
class BucketRebuilder {
  rebuilt = 0;
  keys = 0;
  filled = 0;
  readonly #scope: Scope;
  readonly #bucket: BucketRange;
  readonly #session: MaintenanceSession;
  readonly #maxKeys: (summary: string) => number;
  /** Names of the summaries that count every record of the bucket. */
  readonly #complete: string[] = [];

  constructor(
    scope: Scope,
    bucket: BucketRange,
    session: MaintenanceSession,
    maxKeys: (summary: string) => number,
  ) {
    this.#scope = scope;
    this.#bucket = bucket;
    this.#session = session;
    this.#maxKeys = maxKeys;
  }

  /** Changes the sums of a summary until they match the records. Returns the last finding. */
  async rebuild(summary: Summary): Promise<Finding> {
    const { zone } = this.#scope;
    const { period, from } = this.#bucket;
    let records = 0;
    for (let round = 0; round <= MAX_ROUNDS; round++) {
      const finding = await examine(this.#scope, this.#bucket, summary);
      if (finding.kind === 'equal') this.#complete.push(summary.name);
      if (finding.kind !== 'different' && finding.kind !== 'partial') return finding;
      if (finding.kind === 'partial' && !isRebuildable(summary)) return finding;
      if (round === MAX_ROUNDS) {
        // An app without the summary stores requests all the time. They are not counted, as without a rebuild.
        if (finding.kind === 'partial' && finding.recount.records > records) return finding;
        break;
      }
      records = finding.recount.records;
      const changes =
        summary.name === COVERAGE.name ? this.#coverageChanges(finding) : this.#changes(finding, summary);
      await this.#session.change([...changes, changeMark(zone, from)]);
      if (round === 0) this.rebuilt += 1;
      this.keys += changes.filter((each) => each.summary === summary.name).length;
      if (finding.kind === 'partial') this.filled += finding.hits;
    }
    throw new TrackUsageError('REBUILD_DIFFERS', { summary: summary.name, period, date: zone.format(from) });
  }

  /** Returns the changes of a summary, and of the `COVERAGE` of the records that it did not count. */
  #changes(finding: Finding & { kind: 'partial' | 'different' }, { name }: Summary): DeltaRow[] {
    const { recount, coverage } = finding;
    const { stored, counted } = recount;
    const hasOthers = stored.some(({ key }) => key === OTHERS);
    const known = new Set(counted.map(({ key }) => key));
    const own = stored.filter(({ key }) => key !== null && key !== OTHERS && known.has(key));
    // In a complete bucket, keys without room are already counted under `OTHERS`.
    const room = hasOthers && finding.kind === 'different' ? 0 : this.#maxKeys(name) - own.length;
    const wanted =
      companionBase(name) === undefined
        ? wantedSums(stored, counted, room)
        : wantedLatency(stored, counted, finding.kind === 'partial');
    const changes = this.#changesTo(name, stored, wanted);
    return coverage.of(name) === recount.records
      ? changes
      : [...changes, ...this.#added(name, recount.coverage)];
  }

  /** Returns the changes of `COVERAGE` that add a summary to all keys. */
  #added(name: string, rows: readonly KeyRow[]): DeltaRow[] {
    const wanted = new Map<string | null, Measures>();
    for (const row of rows) {
      const names = [...new Set([...coveredBy(row.key), name])].map((each) => ({ name: each }));
      const key = coverageKey(names, isOfBots(row.key));
      wanted.set(key, sumOf([row, ...(wanted.has(key) ? [wanted.get(key)!] : [])]));
    }
    return this.#changesTo(COVERAGE.name, rows, wanted);
  }

  /** Returns the changes of a damaged `COVERAGE`: it then lists all summaries that match the records. */
  #coverageChanges({ recount }: Finding & { kind: 'partial' | 'different' }): DeltaRow[] {
    const unknown = this.#scope.summaries
      .filter(({ column }) => column === undefined)
      .map(({ name }) => name);
    const listed = recount.coverage.flatMap(({ key }) => coveredBy(key));
    // Summaries that were not compared remain listed.
    const others = listed.filter(
      (name) => unknown.includes(name) || !this.#scope.summaries.some((each) => each.name === name),
    );
    const names = [...new Set([...this.#complete, ...others])].map((name) => ({ name }));
    return this.#changesTo(COVERAGE.name, recount.coverage, wantedCoverage(recount, names));
  }

  #changesTo(
    summary: string,
    stored: readonly KeyRow[],
    wanted: ReadonlyMap<string | null, Measures>,
  ): DeltaRow[] {
    const { period, from: bucket } = this.#bucket;
    return compareSums(stored, wanted).map(({ key, stored: has, counted }) => {
      return { summary, period, bucket, key, ...minus(counted, has) };
    });
  }
}
