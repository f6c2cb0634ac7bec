import { reasonOf, TrackUsageError } from '../../errors.ts';
import { monotonicClock, setTimeout } from '../../platform/clock.ts';
import { batchInProgress, MAX_BATCH } from '../../storage/checks.ts';
import type {
  LeaseRequest,
  Person,
  PruneRequest,
  StorageMaintenance,
  StorageTimes,
  TimeZoneRequest,
} from '../../storage/contract.ts';
import { COLUMNS } from '../../storage/fold-records.ts';
import type { StoredRetention } from '../../storage/retention.ts';
import { PERIODS } from '../../summaries/periods.ts';
import { type Collections, isNoCollection, isRefusedCommand, limited } from './collections.ts';
import type { EmptiedSums } from './emptied-sums.ts';
import type { KeyCounts } from './key-counts.ts';
import { Pruning } from './pruning.ts';
import { serverTime } from './server-time.ts';
import { storedRetention } from './stored-retention.ts';

/** Interval at which batches in progress are looked for. In ms. */
const POLL_INTERVAL = 20;
const DURABLE = { writeConcern: { w: 'majority', journal: true } } as const;

/** White space that `trim` removes. Servers differ in what `\s` matches. */
const SPACE = '[\\t\\n\\v\\f\\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*';

export class MongoMaintenance implements StorageMaintenance {
  readonly #collections: Collections;
  readonly #site: string;
  readonly #emptied: EmptiedSums;
  readonly #pruning: Pruning;

  constructor(collections: Collections, site: string, counts: KeyCounts, emptied: EmptiedSums) {
    this.#collections = collections;
    this.#site = site;
    this.#emptied = emptied;
    this.#pruning = new Pruning(collections, site, counts);
  }

  async lease({ task, holder, ms }: LeaseRequest): Promise<boolean> {
    const now = await serverTime(this.#collections);
    const lease = `leases.${task}`;
    const { matchedCount } = await limited(
      this.#collections.sites.updateOne(
        {
          _id: this.#site,
          $or: [
            { [lease]: { $exists: false } },
            { [`${lease}.holder`]: holder },
            { [`${lease}.until`]: { $lte: new Date(now) } },
          ],
        },
        { $set: { [lease]: { holder, until: new Date(now + ms) } } },
      ),
    );
    return matchedCount === 1;
  }

  async times(): Promise<StorageTimes> {
    const { records } = this.#collections;
    const [newest] = await limited(
      records.find({ site: this.#site }).sort({ date: -1 }).limit(1).project({ date: 1 }).toArray(),
    );
    return {
      now: await serverTime(this.#collections),
      newest: (newest?.date as Date | undefined)?.getTime(),
      retention: await storedRetention(this.#collections, this.#site),
    };
  }

  async retain(retention: StoredRetention, replaces = false): Promise<void> {
    const keeps: Record<string, string> = {};
    const starts: Record<string, Date> = {};
    const none: Record<string, ''> = {};
    for (const [part, { keep, before }] of Object.entries(retention)) {
      keeps[`retention.${part}.keep`] = keep;
      if (before !== null) starts[`retention.${part}.before`] = new Date(before);
      else none[`retention.${part}.before`] = '';
    }
    if (Object.keys(keeps).length === 0) return;
    const { sites } = this.#collections;
    await limited(
      sites.updateOne(
        { _id: this.#site },
        replaces
          ? { $set: { ...keeps, ...starts }, ...(Object.keys(none).length > 0 && { $unset: none }) }
          : { $set: keeps, ...(Object.keys(starts).length > 0 && { $max: starts }) },
      ),
    );
  }

  prune(request: PruneRequest): Promise<number> {
    return this.#pruning.prune(request);
  }

  /** Deletes sums without hits. Documents contain their texts, so nothing else can be left over. */
  sweep(): Promise<boolean> {
    return this.#emptied.remove();
  }

  /** See `MongoWriter` for how a batch that begins at the same time is noticed. */
  async setTimeZone({ from, to }: TimeZoneRequest): Promise<boolean> {
    const { sites, label } = this.#collections;
    const found = await limited(
      sites.findOneAndUpdate(
        { _id: this.#site, time_zone: { $in: [from, to] } },
        { $set: { time_zone: to } },
        { returnDocument: 'before', includeResultMetadata: false, ...DURABLE },
      ),
    );
    if (!found) return false;
    if (await this.#isIdle()) return true;
    await limited(
      sites.updateOne({ _id: this.#site, time_zone: to }, { $set: { time_zone: found.time_zone } }, DURABLE),
    );
    throw batchInProgress(this.#site, label);
  }

  /** Waits until no batch of the site is in progress. Returns false if one remains. */
  async #isIdle(): Promise<boolean> {
    const deadline = monotonicClock.now() + MAX_BATCH;
    for (;;) {
      // A batch that an earlier release has begun does not name its site.
      const pending = { pending: { $exists: true }, site: { $in: [this.#site, null] } };
      if (!(await limited(this.#collections.journals.findOne(pending)))) return true;
      if (monotonicClock.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
  }

  async erase({ column, value }: Person, limit: number): Promise<number> {
    const { records } = this.#collections;
    const own = { [COLUMNS[column]]: value };
    const found = await limited(
      records
        .find({ site: this.#site, ...(column === 'remoteAddr' ? { $or: [own, forwardedFor(value)] } : own) })
        .project({ _id: 1 })
        .limit(limit)
        .toArray(),
    );
    if (found.length === 0) return 0;
    const ids = found.map(({ _id }) => _id as string);
    const { deletedCount } = await limited(records.deleteMany({ _id: { $in: ids } }));
    return deletedCount;
  }

  /** Rewrites the files of the collections. The files of an engine such as WiredTiger keep deleted data otherwise. */
  async scrub(): Promise<void> {
    const { records, visitorKeys, corrections } = this.#collections;
    const names = [records, visitorKeys, corrections].map(({ collectionName }) => collectionName);
    for (const summary of await this.#collections.summaries()) {
      for (const period of PERIODS) names.push(this.#collections.sums(summary, period).collectionName);
    }
    // On the primary of a replica set, the command requires `force`.
    for (const compact of names) await this.#compact({ compact, force: true });
  }

  async #compact(command: object): Promise<void> {
    try {
      await this.#collections.command(command);
    } catch (error) {
      if (isNoCollection(error)) return;
      if (!isRefusedCommand(error)) throw error;
      const values = {
        storage: this.#collections.label,
        reason: reasonOf(error),
        how: 'grant the user the command "compact", for example with the role dbAdmin, or run it on each collection yourself',
      };
      throw new TrackUsageError('SCRUB_FAILED', values, { cause: error });
    }
  }
}

/** Returns the condition that an address is an element of the list `forwarded_for`. */
function forwardedFor(address: string): object {
  const literal = address.replace(/[^\p{L}\p{N}_]/gu, '\\$&');
  return { forwarded_for: { $regex: `(^|,)${SPACE}${literal}${SPACE}(,|$)` } };
}
