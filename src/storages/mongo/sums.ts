import { hash } from 'node:crypto';
import type { AnyBulkWriteOperation, Collection } from 'mongodb';
import type { DeltaGroup } from '../../summaries/fold.ts';
import type { Batch } from '../contract.ts';
import { type Collections, type Doc, insertMissing, limited, wereDuplicates } from './collections.ts';
import type { Begun } from './journals.ts';
import { atOnce } from './tasks.ts';

/** Sums that are changed with one message. */
const PIECE = 500;
/** Collections that are written to at the same time. */
const MESSAGES = 4;
/** Characters of a key's hash in an `_id`: 132 bits. */
const HASH_LENGTH = 22;

/** What a batch adds to one sum, and what the sum is when it is new. */
interface Change {
  id: string;
  add: Record<'hits' | 'transfer' | 'errors' | 'duration', bigint>;
  start: Record<string, unknown>;
}

/** Adds to the sums: one document for each site, bucket and key, in a collection for each summary and period. */
export class Sums {
  readonly #collections: Collections;
  readonly #site: string;
  /** Names of collections whose index is there, and of summaries that the site is known to have. */
  readonly #ready = new Set<string>();

  constructor(collections: Collections, site: string) {
    this.#collections = collections;
    this.#site = site;
  }

  /** Adds a batch. What has its part of it already stays as it is. */
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
      for (let at = 0; at < changes.length; at += PIECE) {
        await change(collection, changes.slice(at, at + PIECE), begun);
      }
    });
    await atOnce(tasks, MESSAGES);
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

  /** Notes which summaries the site has. */
  async #enter(summaries: readonly string[]): Promise<void> {
    const added = summaries.filter((summary) => !this.#ready.has(summary));
    if (added.length === 0) return;
    const { sites } = this.#collections;
    await limited(sites.updateOne({ _id: this.#site }, { $addToSet: { summaries: { $each: added } } }));
    for (const summary of added) this.#ready.add(summary);
  }

  async #prepare(collection: Collection<Doc>): Promise<void> {
    const { collectionName } = collection;
    if (this.#ready.has(collectionName)) return;
    await limited(collection.createIndex({ site: 1, date: -1, key: 1 }, { name: 'site_date_key' }));
    this.#ready.add(collectionName);
  }
}

/** The keys of a batch, by their ids in its `strings`. */
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

  /** `none` puts `null` behind all texts; MongoDB would have it before them. */
  fields(local: number): { key: string } | { key: null; none: true } {
    const key = this.#strings[local]!;
    return key === null ? { key, none: true } : { key };
  }
}

/**
 * A 64-bit integer, however small: the driver sends a small number as one of 32 bits, and not every server that speaks
 * MongoDB's protocol widens the sum of two such numbers.
 */
function integer(value: number): bigint {
  return BigInt(Math.round(value));
}

async function change(collection: Collection<Doc>, changes: readonly Change[], begun: Begun): Promise<void> {
  if (!begun.again) {
    try {
      await write(collection, changes, begun, true);
      return;
    } catch (error) {
      // Somebody else made one of them at the same moment, or a message that was thought lost came through.
      if (!wereDuplicates(error)) throw error;
    }
  }
  // A document that does not match because it has its part would be made anew, and that fails: so it is made before.
  const nothing = { hits: 0n, transfer: 0n, errors: 0n, duration: 0n };
  await insertMissing(
    collection,
    changes.map(({ id, start }) => ({ _id: id, ...start, ...nothing })),
  );
  await write(collection, changes, begun, false);
}

async function write(
  collection: Collection<Doc>,
  changes: readonly Change[],
  { mark, before, after }: Begun,
  upsert: boolean,
): Promise<void> {
  const operations = changes.map(
    ({ id, add, start }): AnyBulkWriteOperation<Doc> => ({
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
