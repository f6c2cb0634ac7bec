import type { Collection, Document } from 'mongodb';
import { clearTimeout, setTimeout } from '../../platform/clock.ts';
import type { EngineSession } from '../../storage/opening.ts';
import type { Period } from '../../summaries/periods.ts';
import type { MongoDbLike } from './options.ts';

/** Location of a storage's collections. */
export interface MongoDatabase {
  db: MongoDbLike;
  /** Name of the records' collection, and prefix of all other collections. */
  collection: string;
  /** Name in messages. Contains no password. */
  label: string;
}

/** A document whose `_id` is set by us, not by the driver. */
export type StoredDocument = Document & { _id: string | number };

/** Maximum time that the server may take for a call, regardless of the limits of a user's client. In ms. */
const TIME_LIMIT = 60_000;

const SUFFIX: Readonly<Record<Period, string>> = { hour: 'hourly', day: 'daily', month: 'monthly' };

/**
 * Read and write options, regardless of the defaults of a user's client: numbers as numbers, majority read
 * and write concern.
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

/** Collections of a storage, on a client. */
export class Collections implements EngineSession {
  /** Name in messages. */
  readonly label: string;
  readonly #location: MongoDatabase;
  readonly #known = new Map<string, Collection<StoredDocument>>();

  /** Closes the client. */
  readonly close: () => Promise<void>;

  /** @param close Closes the client. Omitted for a client of the user's. */
  constructor(location: MongoDatabase, close = async () => {}) {
    this.#location = location;
    this.label = location.label;
    this.close = close;
  }

  /** One document per request. */
  get records(): Collection<StoredDocument> {
    return this.#get(this.#location.collection);
  }

  /** `{ _id: 'version', version }`: version of the schema. */
  get schema(): Collection<StoredDocument> {
    return this.#get(`${this.#location.collection}_schema`);
  }

  /** `{ _id: name, time_zone, summaries, retention, leases }`. */
  get sites(): Collection<StoredDocument> {
    return this.#get(`${this.#location.collection}_sites`);
  }

  /** Stored position of each journal: see `Journals`. */
  get journals(): Collection<StoredDocument> {
    return this.#get(`${this.#location.collection}_journals`);
  }

  /** `{ _id: 'day site', site, day, key }`: keys of visitor IDs, in hexadecimal digits. */
  get visitorKeys(): Collection<StoredDocument> {
    return this.#get(`${this.#location.collection}_visitor_keys`);
  }

  /** Slots that mark the journals' parts of the sums: see `Journals`. */
  get slots(): Collection<StoredDocument> {
    return this.#get(`${this.#location.collection}_slots`);
  }

  /** Number of keys in each bucket: see `KeyCounts`. */
  get keyCounts(): Collection<StoredDocument> {
    return this.#get(`${this.#location.collection}_key_counts`);
  }

  /** Batches that move sums between keys, until they are stored: see `Corrections`. */
  get corrections(): Collection<StoredDocument> {
    return this.#get(`${this.#location.collection}_corrections`);
  }

  /** Sums whose hits became 0, until they are deleted: see `EmptiedSums`. */
  get emptied(): Collection<StoredDocument> {
    return this.#get(`${this.#location.collection}_emptied`);
  }

  /** Sums of a summary, for example `usageTracking_urls_hourly`. */
  sums(summary: string, period: Period): Collection<StoredDocument> {
    return this.#get(`${this.#location.collection}_${summary}_${SUFFIX[period]}`);
  }

  /** Returns the names of all summaries with sums, of one site or of all, sorted. */
  async summaries(site?: string): Promise<string[]> {
    const found = await limited(this.sites.find(site === undefined ? {} : { _id: site }).toArray());
    return [...new Set(found.flatMap(({ summaries }) => (summaries ?? []) as string[]))].sort();
  }

  /** Runs a command of the database. */
  command(command: object): Promise<Document> {
    return limited(this.#location.db.command(command) as Promise<Document>);
  }

  #get(name: string): Collection<StoredDocument> {
    let collection = this.#known.get(name);
    if (!collection) {
      collection = this.#location.db.collection(name, OPTIONS) as Collection<StoredDocument>;
      this.#known.set(name, collection);
    }
    return collection;
  }
}

/**
 * Rejects if the server does not answer in time. The server may still execute the call, so a retry must
 * detect that.
 */
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

/** Error codes of the server. */
const UNAUTHORIZED = 13;
const NO_COLLECTION = 26;
const UNKNOWN_COMMAND = 59;

/** Returns whether a command failed because the collection does not exist. */
export function isNoCollection(error: unknown): boolean {
  return codeOf(error) === NO_COLLECTION;
}

/** Returns whether the user may not run a command, or the server does not implement it. */
export function isRefusedCommand(error: unknown): boolean {
  return [UNAUTHORIZED, UNKNOWN_COMMAND].includes(codeOf(error) as number);
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

/** E11000: a document with that `_id` already exists. */
const DUPLICATE = 11_000;

/** Returns whether a bulk write failed only because documents already existed. */
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

/** Inserts documents, of which identical ones may already exist. */
export async function insertMissing(
  collection: Collection<StoredDocument>,
  documents: StoredDocument[],
): Promise<void> {
  try {
    await limited(collection.insertMany(documents, { ordered: false }));
  } catch (error) {
    if (!wereDuplicates(error)) throw error;
  }
}
