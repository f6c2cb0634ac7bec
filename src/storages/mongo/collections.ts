import type { Collection, Document } from 'mongodb';
import { clearTimeout, setTimeout } from '../../clock.ts';
import type { Period } from '../../summaries/periods.ts';
import type { MongoDbLike } from './index.ts';

/** Where a storage's collections are. */
export interface MongoDatabase {
  db: MongoDbLike;
  /** The name of the records' collection, with which those of all others begin. */
  collection: string;
  /** For messages; holds no password. */
  label: string;
}

/** A document of ours: no `_id` is left to the driver. */
export type Doc = Document & { _id: string | number };

/** How long the server may take for a call, whatever the limits of a user's client are. In ms. */
const TIME_LIMIT = 60_000;

const SUFFIX: Readonly<Record<Period, string>> = { hour: 'hourly', day: 'daily', month: 'monthly' };

/**
 * How documents are read and written, whatever a user's client has for defaults: numbers as numbers, and what a
 * majority of the servers has.
 */
const OPTIONS = {
  promoteValues: true,
  promoteLongs: true,
  promoteBuffers: false,
  useBigInt64: false,
  ignoreUndefined: false,
  readPreference: 'primary',
  writeConcern: { w: 'majority' },
} as const;

/** The collections of a storage. */
export class Collections {
  /** For messages. */
  readonly label: string;
  readonly #place: MongoDatabase;
  readonly #known = new Map<string, Collection<Doc>>();

  constructor(place: MongoDatabase) {
    this.#place = place;
    this.label = place.label;
  }

  /** Each request. */
  get records(): Collection<Doc> {
    return this.#get(this.#place.collection);
  }

  /** `{ _id: 'version', version }`: which schema the collections have. */
  get schema(): Collection<Doc> {
    return this.#get(`${this.#place.collection}_schema`);
  }

  /** `{ _id: name, time_zone, summaries }`. */
  get sites(): Collection<Doc> {
    return this.#get(`${this.#place.collection}_sites`);
  }

  /** How far each journal is stored: see `Journals`. */
  get journals(): Collection<Doc> {
    return this.#get(`${this.#place.collection}_journals`);
  }

  /** The slots that journals take for their marks in the sums: see `Journals`. */
  get slots(): Collection<Doc> {
    return this.#get(`${this.#place.collection}_slots`);
  }

  /** The sums of a summary, such as `usageTracking_urls_hourly`. */
  sums(summary: string, period: Period): Collection<Doc> {
    return this.#get(`${this.#place.collection}_${summary}_${SUFFIX[period]}`);
  }

  #get(name: string): Collection<Doc> {
    let collection = this.#known.get(name);
    if (!collection) {
      collection = this.#place.db.collection(name, OPTIONS) as Collection<Doc>;
      this.#known.set(name, collection);
    }
    return collection;
  }
}

/** Rejects where the server does not answer in time. It may do it all the same: then it finds out that it was done. */
export async function limited<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${TIME_LIMIT} ms`)), TIME_LIMIT).unref();
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** E11000: a document with that `_id` is there already. */
const DUPLICATE = 11_000;

/** Whether a bulk of writes failed only because documents were there already. */
export function wereDuplicates(error: unknown): boolean {
  const { code, writeErrors, result } = error as {
    code?: number;
    writeErrors?: { code?: number } | { code?: number }[];
    result?: { getWriteConcernError?(): unknown };
  };
  if (result?.getWriteConcernError?.()) return false;
  const errors = [writeErrors ?? []].flat();
  return errors.length === 0 ? code === DUPLICATE : errors.every((each) => each.code === DUPLICATE);
}

/** Inserts documents of which some may be there already, as the same. */
export async function insertMissing(collection: Collection<Doc>, documents: Doc[]): Promise<void> {
  try {
    await limited(collection.insertMany(documents, { ordered: false }));
  } catch (error) {
    if (!wereDuplicates(error)) throw error;
  }
}
