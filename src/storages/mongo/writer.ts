import type { Position } from '../../journal/position.ts';
import type { Batch, StorageWriter, VisitorKeyRequest, WriterContext } from '../../storage/contract.ts';
import { type Collections, insertMissing, limited, type StoredDocument } from './collections.ts';
import { Corrections } from './corrections.ts';
import { EmptiedSums } from './emptied-sums.ts';
import { type Begun, Journals } from './journals.ts';
import { KeyBudget } from './key-budget.ts';
import { KeyCounts } from './key-counts.ts';
import { MongoMaintenance } from './maintenance.ts';
import { documentsOf } from './records.ts';
import { checkSite, setUp } from './schema.ts';
import { Sums } from './sums.ts';

/** Number of records sent per message. */
const RECORDS_PER_MESSAGE = 500;

/** Server error codes for a refused document: validation by the user, document size, key size. */
const REFUSALS = new Set([121, 10_334, 17_280]);

/**
 * Writes without transactions. The records come first, under `_id`s that never change. The sums follow, each
 * with a mark of what it contains, and the journal's position comes last. An interrupted batch is repeated
 * unchanged.
 */
export class MongoWriter implements StorageWriter {
  readonly replays = true;
  readonly maintenance: MongoMaintenance;
  readonly #collections: Collections;
  readonly #context: WriterContext;
  readonly #journals: Journals;
  readonly #counts: KeyCounts;
  readonly #budget: KeyBudget;
  readonly #corrections: Corrections;
  readonly #emptied: EmptiedSums;
  #sums: Sums;

  constructor(collections: Collections, context: WriterContext) {
    this.#collections = collections;
    this.#context = context;
    const { site } = context;
    this.#journals = new Journals(collections, site);
    this.#counts = new KeyCounts(collections, site);
    this.#budget = new KeyBudget(collections, context, this.#counts);
    this.#corrections = new Corrections(collections);
    this.#emptied = new EmptiedSums(collections, site, this.#counts);
    this.#sums = new Sums(collections, site);
    this.maintenance = new MongoMaintenance(collections, site, this.#counts, this.#emptied);
  }

  position(journal: string): Promise<Position | undefined> {
    return this.#journals.position(journal);
  }

  admit(batch: Batch): Promise<Batch> {
    return this.#budget.admit(batch);
  }

  async apply(batch: Batch): Promise<boolean> {
    const isSaved = await this.#corrections.save(batch);
    const isStored = await this.#store(batch);
    if (isSaved) await this.#corrections.remove(batch.journal);
    return isStored;
  }

  async #store(batch: Batch): Promise<boolean> {
    const begun = await this.#journals.begin(batch);
    if (!begun) return false;
    await this.#checkZone(batch, begun);
    await this.#insertRecords(batch);
    const { created, reduced } = await this.#sums.add(batch, begun);
    await this.#counts.add(created);
    const isAnyEmpty = await this.#emptied.note(batch, reduced);
    const isMoved = await this.#journals.move(batch);
    // The batch is stored. If this fails, the next sweep deletes them.
    if (isAnyEmpty) await this.#emptied.removeAll().catch(() => {});
    return isMoved;
  }

  /**
   * Throws if the time zone of the site has been changed. Called after the batch has begun: either it finds the new zone,
   * or the change finds the batch.
   */
  async #checkZone(batch: Batch, { again }: Begun): Promise<void> {
    try {
      await checkSite(this.#collections, this.#context);
    } catch (error) {
      if (!again) await this.#journals.cancel(batch);
      throw error;
    }
  }

  async resume(journal: string, at: Position): Promise<boolean> {
    await setUp(this.#collections, this.#context);
    // The cached indexes and the site's list of summaries are gone with the old database.
    this.#sums = new Sums(this.#collections, this.#context.site);
    await this.#journals.enter(journal, at);
    return true;
  }

  async visitorKey({ day, oldest, proposal }: VisitorKeyRequest): Promise<Uint8Array> {
    const { visitorKeys } = this.#collections;
    const { site } = this.#context;
    await limited(visitorKeys.deleteMany({ site, day: { $lt: oldest } }));
    const document = { _id: `${day} ${site}`, site, day, key: Buffer.from(proposal).toString('hex') };
    await insertMissing(visitorKeys, [document]);
    const found = await limited(visitorKeys.findOne({ _id: document._id }));
    return Buffer.from(String(found!.key), 'hex');
  }

  async forget(journal: string): Promise<void> {
    const pending = await this.#journals.pending(journal);
    // Left by a process that was killed while it moved sums.
    const correction = pending === undefined ? undefined : await this.#corrections.find(journal, pending);
    if (correction) await this.#store(correction);
    await this.#corrections.remove(journal);
    await this.#journals.forget(journal);
  }

  refuses(error: unknown): boolean {
    const { code, name, writeErrors } = error as {
      code?: unknown;
      name?: string;
      writeErrors?: { code?: unknown } | { code?: unknown }[];
    };
    const codes = [code, ...[writeErrors ?? []].flat().map((each) => each.code)];
    return codes.some((each) => REFUSALS.has(each as number)) || /^BSON\w*Error$/.test(name ?? '');
  }

  async close(): Promise<void> {
    await this.#collections.close();
  }

  async #insertRecords(batch: Batch): Promise<void> {
    let piece: StoredDocument[] = [];
    for (const document of documentsOf(batch, this.#context.site)) {
      piece.push(document);
      if (piece.length < RECORDS_PER_MESSAGE) continue;
      await insertMissing(this.#collections.records, piece);
      piece = [];
    }
    if (piece.length > 0) await insertMissing(this.#collections.records, piece);
  }
}
