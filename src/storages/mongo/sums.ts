import type { AnyBulkWriteOperation, BulkWriteResult, Collection } from 'mongodb';
import type { Batch } from '../../storage/contract.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import {
  type Collections,
  insertMissing,
  limited,
  type StoredDocument,
  wereDuplicates,
} from './collections.ts';
import type { SumsOf } from './emptied-sums.ts';
import type { Begun } from './journals.ts';
import { idOf, Keys } from './keys.ts';
import { runConcurrently } from './run-concurrently.ts';

/** Number of sums changed per message. */
const SUMS_PER_MESSAGE = 500;
/** Number of collections written to concurrently. */
const MESSAGES = 4;

/** Effects of a batch on the sums. */
export interface AddedSums {
  /** Number of created sums of each bucket, for the budget of its keys; `undefined` if it is unknown. */
  created: Map<DeltaGroup, number | undefined>;
  /** Sums whose hits may have become 0. */
  reduced: SumsOf[];
}

/** Change of one sum by a batch, and the initial values of a new sum. */
interface Change {
  id: string;
  group: DeltaGroup;
  /** True if the key counts toward the budget of its bucket. */
  isCounted: boolean;
  add: Record<'hits' | 'transfer' | 'errors' | 'duration', bigint>;
  start: Record<string, unknown>;
}

/**
 * Writes the sums. Each summary and period has a collection, with one document for each site, bucket and key.
 */
export class Sums {
  readonly #collections: Collections;
  readonly #site: string;
  /** Collections whose index exists, and summaries that are listed in the site's document. */
  readonly #ready = new Set<string>();

  constructor(collections: Collections, site: string) {
    this.#collections = collections;
    this.#site = site;
  }

  /** Adds a batch. Sums that already contain it stay unchanged. */
  async add({ deltas, records }: Batch, begun: Begun): Promise<AddedSums> {
    const keys = new Keys(this.#site, records);
    const added: AddedSums = { created: new Map(), reduced: [] };
    const filled = deltas.filter(({ key }) => key.length > 0);
    await this.#enter([...new Set(filled.map(({ summary }) => summary.name))]);
    const byCollection = Map.groupBy(filled, ({ summary, period }) =>
      this.#collections.sums(summary.name, period),
    );
    const tasks = [...byCollection].map(([collection, groups]) => async () => {
      await this.#prepare(collection);
      const changes = groups.flatMap((group) => this.#changes(group, keys));
      for (let at = 0; at < changes.length; at += SUMS_PER_MESSAGE) {
        const some = changes.slice(at, at + SUMS_PER_MESSAGE);
        countCreated(some, await change(collection, some, begun), added.created);
      }
      const reduced = changes.filter(({ add }) => add.hits <= 0n).map(({ id }) => id);
      const { summary, period } = groups[0]!;
      if (reduced.length > 0) added.reduced.push({ summary: summary.name, period, ids: reduced });
    });
    await runConcurrently(tasks, MESSAGES);
    return added;
  }

  #changes(group: DeltaGroup, keys: Keys): Change[] {
    const { bucket, key, hits, transfer, errors, duration } = group;
    const date = new Date(bucket);
    return Array.from(key, (local, row) => ({
      id: idOf(bucket, keys.hash(local)),
      group,
      isCounted: keys.isCounted(local),
      add: {
        hits: integer(hits[row]!),
        transfer: integer(transfer[row]!),
        errors: integer(errors[row]!),
        duration: integer(duration[row]!),
      },
      start: { site: this.#site, date, ...keys.fields(local) },
    }));
  }

  /** Lists summaries in the site's document. */
  async #enter(summaries: readonly string[]): Promise<void> {
    const added = summaries.filter((summary) => !this.#ready.has(summary));
    if (added.length === 0) return;
    const { sites } = this.#collections;
    await limited(sites.updateOne({ _id: this.#site }, { $addToSet: { summaries: { $each: added } } }));
    for (const summary of added) this.#ready.add(summary);
  }

  async #prepare(collection: Collection<StoredDocument>): Promise<void> {
    const { collectionName } = collection;
    if (this.#ready.has(collectionName)) return;
    await limited(collection.createIndex({ site: 1, date: -1, key: 1 }, { name: 'site_date_key' }));
    this.#ready.add(collectionName);
  }
}

/**
 * Returns a 64-bit integer. The driver sends a small number as 32 bits, and some MongoDB-compatible servers
 * do not widen the sum of two such numbers.
 */
function integer(value: number): bigint {
  return BigInt(Math.round(value));
}

/** Adds the created sums to the number of their bucket. @param ids Their `_id`s; `undefined` if they are unknown. */
function countCreated(
  changes: readonly Change[],
  ids: ReadonlySet<string> | undefined,
  created: AddedSums['created'],
): void {
  for (const { id, group, isCounted } of changes) {
    if (!isCounted) continue;
    if (ids === undefined) created.set(group, undefined);
    else if (ids.has(id)) {
      const before = created.has(group) ? created.get(group) : 0;
      created.set(group, before === undefined ? undefined : before + 1);
    }
  }
}

/** Changes sums, once. Returns the `_id`s of those that it created; `undefined` if they are unknown. */
async function change(
  collection: Collection<StoredDocument>,
  changes: readonly Change[],
  begun: Begun,
): Promise<ReadonlySet<string> | undefined> {
  if (!begun.again) {
    try {
      const { upsertedIds } = await write(collection, changes, begun, true);
      return new Set(Object.values(upsertedIds) as string[]);
    } catch (error) {
      // Another process created one of them concurrently, or a message that seemed lost was executed.
      if (!wereDuplicates(error)) throw error;
    }
  }
  // An upsert would fail for a document that already contains the batch, so missing documents are created
  // first.
  const nothing = { hits: 0n, transfer: 0n, errors: 0n, duration: 0n };
  for (let missing = changes; missing.length > 0; ) {
    await insertMissing(
      collection,
      missing.map(({ id, start }) => ({ _id: id, ...start, ...nothing })),
    );
    const { matchedCount } = await write(collection, missing, begun, false);
    if (matchedCount === missing.length) break;
    // The others contain the batch, or were deleted meanwhile: `prune` and `EmptiedSums` delete sums without hits.
    const ids = await withBatch(collection, missing, begun);
    missing = missing.filter(({ id }) => !ids.has(id));
  }
  return undefined;
}

/** Returns the `_id`s of the sums that contain the batch. */
async function withBatch(
  collection: Collection<StoredDocument>,
  changes: readonly Change[],
  { mark, before }: Begun,
): Promise<Set<string>> {
  const ids = changes.map(({ id }) => id);
  const found = await limited(
    collection
      .find({ _id: { $in: ids }, [mark]: { $gt: before } })
      .project({ _id: 1 })
      .toArray(),
  );
  return new Set(found.map(({ _id }) => _id as string));
}

async function write(
  collection: Collection<StoredDocument>,
  changes: readonly Change[],
  { mark, before, after }: Begun,
  upsert: boolean,
): Promise<BulkWriteResult> {
  const operations = changes.map(
    ({ id, add, start }): AnyBulkWriteOperation<StoredDocument> => ({
      updateOne: {
        filter: { _id: id, [mark]: { $not: { $gt: before } } },
        update: {
          $inc: add as unknown as Record<string, number>,
          $set: { [mark]: after },
          ...(upsert && { $setOnInsert: start }),
        },
        upsert,
      },
    }),
  );
  return limited(collection.bulkWrite(operations, { ordered: false }));
}
