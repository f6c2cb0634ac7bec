import type { AnyBulkWriteOperation, UpdateFilter } from 'mongodb';
import { hasBudget } from '../../storage/key-budget.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import type { Period } from '../../summaries/periods.ts';
import { type Collections, limited, type StoredDocument, wereDuplicates } from './collections.ts';
import { hashOf, idOf } from './keys.ts';
import { runConcurrently } from './run-concurrently.ts';

/** A bucket of a summary. */
export interface Bucket extends Pick<DeltaGroup, 'period' | 'bucket'> {
  summary: { name: string };
}

/** Number of keys of a bucket. */
export interface KeyCount {
  /** Number of keys, excluding `null` and `OTHERS`. */
  count: number;
  /** True if the sums were counted since the last one was created. */
  isCounted: boolean;
}

/** Document of the collection of key counts. */
interface CountDocument {
  _id: string;
  /** Number of sums that batches created here. */
  created: number;
  /** `created` plus this is the number of keys. Missing if the keys must be counted. */
  base?: number;
  /** `created` when the keys were last counted. */
  checked?: number;
}

/** Number of collections read concurrently. */
const READS = 4;

/**
 * Number of keys in each bucket, shared by all processes.
 *
 * Counting the sums for each batch would be too expensive. So each batch adds the number of sums that it created, and a
 * bucket is only counted when it is used for the first time, when it is unknown how many sums a batch created, and
 * before keys are refused. A count is never too low by more than the batches in progress at the time created.
 */
export class KeyCounts {
  readonly #collections: Collections;
  readonly #site: string;

  constructor(collections: Collections, site: string) {
    this.#collections = collections;
    this.#site = site;
  }

  /** Returns the number of keys of each bucket. */
  async read<Of extends Bucket>(buckets: readonly Of[]): Promise<Map<Of, KeyCount>> {
    const documents = await this.#find(buckets);
    const counts = new Map<Of, KeyCount>();
    const unknown = buckets.filter((bucket) => {
      const { created = 0, base, checked } = documents.get(this.#idOf(bucket)) ?? {};
      if (base !== undefined) counts.set(bucket, { count: base + created, isCounted: checked === created });
      return base === undefined;
    });
    if (unknown.length === 0) return counts;
    return new Map([...counts, ...(await this.count(unknown))]);
  }

  /** Counts the keys of the buckets, and stores the counts. */
  async count<Of extends Bucket>(buckets: readonly Of[]): Promise<Map<Of, KeyCount>> {
    // Stored only if no batch has created sums meanwhile. This needs a document.
    await this.#write(buckets.map((bucket) => this.#upsert(bucket, {})));
    const documents = await this.#find(buckets);
    const found = new Map<Of, number>();
    const byCollection = Map.groupBy(buckets, ({ summary, period }) =>
      this.#collections.sums(summary.name, period),
    );
    const tasks = [...byCollection].map(([collection, members]) => async () => {
      const date = { $in: members.map(({ bucket }) => new Date(bucket)) };
      const rows = await limited(
        collection
          .aggregate<{ _id: Date; keys: number }>([
            { $match: { site: this.#site, date, key: { $gt: '' } } },
            { $group: { _id: '$date', keys: { $sum: 1 } } },
          ])
          .toArray(),
      );
      const keys = new Map(rows.map((row) => [row._id.getTime(), row.keys]));
      for (const member of members) found.set(member, keys.get(member.bucket) ?? 0);
    });
    await runConcurrently(tasks, READS);
    await this.#write(
      [...found].map(([bucket, keys]) => {
        const _id = this.#idOf(bucket);
        const created = documents.get(_id)?.created ?? 0;
        return {
          updateOne: {
            filter: { _id, created },
            update: { $set: { base: keys - created, checked: created } },
          },
        };
      }),
    );
    return new Map([...found].map(([bucket, count]) => [bucket, { count, isCounted: true }]));
  }

  /**
   * Adds the numbers of created sums. Called before the position of the journal is updated: a batch that is repeated
   * does not know what it created before.
   * @param created Number of created sums of each bucket; `undefined` if it is unknown.
   */
  async add(created: Iterable<readonly [Bucket, number | undefined]>): Promise<void> {
    const operations = [...created]
      .filter(([{ summary }, count]) => count !== 0 && hasBudget(summary.name))
      .map(([bucket, count]) =>
        this.#upsert(
          bucket,
          count === undefined
            ? { $inc: { created: 1 }, $unset: { base: '', checked: '' } }
            : { $inc: { created: count } },
        ),
      );
    await this.#write(operations);
  }

  /** Deletes the counts of buckets that start before an instant. Those of late records are counted again. */
  async prune(period: Period, before: number): Promise<void> {
    const { keyCounts } = this.#collections;
    await limited(keyCounts.deleteMany({ site: this.#site, period, date: { $lt: new Date(before) } }));
  }

  async #find(buckets: readonly Bucket[]): Promise<Map<string, CountDocument>> {
    const ids = buckets.map((bucket) => this.#idOf(bucket));
    const found = await limited(
      this.#collections.keyCounts
        .find({ _id: { $in: ids } })
        .project<CountDocument>({ created: 1, base: 1, checked: 1 })
        .toArray(),
    );
    return new Map(found.map((document) => [document._id, document]));
  }

  #upsert(bucket: Bucket, update: UpdateFilter<StoredDocument>): AnyBulkWriteOperation<StoredDocument> {
    const start = {
      site: this.#site,
      summary: bucket.summary.name,
      period: bucket.period,
      date: new Date(bucket.bucket),
      ...(update.$inc === undefined && { created: 0 }),
    };
    return {
      updateOne: {
        filter: { _id: this.#idOf(bucket) },
        update: { ...update, $setOnInsert: start },
        upsert: true,
      },
    };
  }

  async #write(operations: AnyBulkWriteOperation<StoredDocument>[]): Promise<void> {
    if (operations.length === 0) return;
    const { keyCounts } = this.#collections;
    try {
      await limited(keyCounts.bulkWrite(operations, { ordered: false }));
    } catch (error) {
      // Another process created one of the documents concurrently. A count that is too high is counted again.
      if (!wereDuplicates(error)) throw error;
      await limited(keyCounts.bulkWrite(operations, { ordered: false }));
    }
  }

  #idOf({ summary, period, bucket }: Bucket): string {
    return idOf(bucket, hashOf(this.#site, summary.name, period));
  }
}
