import { hash } from 'node:crypto';
import type { AnyBulkWriteOperation, Collection } from 'mongodb';
import type { Batch } from '../../storage/contract.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import {
  type Collections,
  insertMissing,
  limited,
  type StoredDocument,
  wereDuplicates,
} from './collections.ts';
import type { Begun } from './journals.ts';
import { runConcurrently } from './run-concurrently.ts';

/** Number of sums changed per message. */
const SUMS_PER_MESSAGE = 500;
/** Number of collections written to concurrently. */
const MESSAGES = 4;
/** Number of characters of a key's hash in an `_id`: 132 bits. */
const HASH_LENGTH = 22;

/** Change of one sum by a batch, and the initial values of a new sum. */
interface Change {
  id: string;
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
  async add({ deltas, records }: Batch, begun: Begun): Promise<void> {
    const keys = new Keys(this.#site, records.strings);
    const filled = deltas.filter(({ key }) => key.length > 0);
    await this.#enter([...new Set(filled.map(({ summary }) => summary.name))]);
    const byCollection = Map.groupBy(filled, ({ summary, period }) =>
      this.#collections.sums(summary.name, period),
    );
    const tasks = [...byCollection].map(([collection, groups]) => async () => {
      await this.#prepare(collection);
      const changes = groups.flatMap((group) => this.#changes(group, keys));
      for (let at = 0; at < changes.length; at += SUMS_PER_MESSAGE) {
        await change(collection, changes.slice(at, at + SUMS_PER_MESSAGE), begun);
      }
    });
    await runConcurrently(tasks, MESSAGES);
  }

  #changes({ bucket, key, hits, transfer, errors, duration }: DeltaGroup, keys: Keys): Change[] {
    const date = new Date(bucket);
    const begin = `${bucket / 1000}-`;
    return Array.from(key, (local, row) => ({
      id: begin + keys.hash(local),
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

/** Keys of a batch, by their IDs in its `strings`. */
class Keys {
  readonly #site: string;
  readonly #strings: readonly (string | null)[];
  readonly #hashes: (string | undefined)[] = [];

  constructor(site: string, strings: readonly (string | null)[]) {
    this.#site = site;
    this.#strings = strings;
  }

  hash(local: number): string {
    let found = this.#hashes[local];
    if (found === undefined) {
      const text = JSON.stringify([this.#site, this.#strings[local]]);
      found = hash('sha256', text, 'base64url').slice(0, HASH_LENGTH);
      this.#hashes[local] = found;
    }
    return found;
  }

  /** Returns the key's fields. `none` sorts `null` after all texts; MongoDB would sort it first. */
  fields(local: number): { key: string } | { key: null; none: true } {
    const key = this.#strings[local]!;
    return key === null ? { key, none: true } : { key };
  }
}

/**
 * Returns a 64-bit integer. The driver sends a small number as 32 bits, and some MongoDB-compatible servers
 * do not widen the sum of two such numbers.
 */
function integer(value: number): bigint {
  return BigInt(Math.round(value));
}

async function change(
  collection: Collection<StoredDocument>,
  changes: readonly Change[],
  begun: Begun,
): Promise<void> {
  if (!begun.again) {
    try {
      await write(collection, changes, begun, true);
      return;
    } catch (error) {
      // Another process created one of them concurrently, or a message that seemed lost was executed.
      if (!wereDuplicates(error)) throw error;
    }
  }
  // An upsert would fail for a document that already contains the batch, so missing documents are created
  // first.
  const nothing = { hits: 0n, transfer: 0n, errors: 0n, duration: 0n };
  await insertMissing(
    collection,
    changes.map(({ id, start }) => ({ _id: id, ...start, ...nothing })),
  );
  await write(collection, changes, begun, false);
}

async function write(
  collection: Collection<StoredDocument>,
  changes: readonly Change[],
  { mark, before, after }: Begun,
  upsert: boolean,
): Promise<void> {
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
  await limited(collection.bulkWrite(operations, { ordered: false }));
}
