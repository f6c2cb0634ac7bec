import type { Cursor } from '../../journal/reader.ts';
import type { Batch, StorageWriter } from '../contract.ts';
import { type Collections, type Doc, insertMissing } from './collections.ts';
import { Journals } from './journals.ts';
import { documentsOf } from './records.ts';
import { Sums } from './sums.ts';

/** Records that are sent with one message. */
const PIECE = 500;

/** Codes of the server that say that a document is refused: by the user's validation, for its size, for its key's. */
const REFUSALS = new Set([121, 10_334, 17_280]);

/**
 * Writes without transactions: first the records, under `_id`s that are theirs whenever they come; then the sums, each
 * with a mark of what it has; the journal's position last. A batch that was interrupted comes again unchanged.
 */
export class MongoWriter implements StorageWriter {
  readonly replays = true;
  readonly #collections: Collections;
  readonly #site: string;
  readonly #close: () => Promise<void>;
  readonly #journals: Journals;
  readonly #sums: Sums;

  constructor(collections: Collections, site: string, close: () => Promise<void>) {
    this.#collections = collections;
    this.#site = site;
    this.#close = close;
    this.#journals = new Journals(collections);
    this.#sums = new Sums(collections, site);
  }

  position(journal: string): Promise<Cursor | undefined> {
    return this.#journals.position(journal);
  }

  async apply(batch: Batch): Promise<boolean> {
    const begun = await this.#journals.begin(batch);
    if (!begun) return false;
    await this.#insertRecords(batch);
    await this.#sums.add(batch, begun);
    return this.#journals.move(batch);
  }

  forget(journal: string): Promise<void> {
    return this.#journals.forget(journal);
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
    await this.#close();
  }

  async #insertRecords(batch: Batch): Promise<void> {
    let piece: Doc[] = [];
    for (const document of documentsOf(batch, this.#site)) {
      piece.push(document);
      if (piece.length < PIECE) continue;
      await insertMissing(this.#collections.records, piece);
      piece = [];
    }
    if (piece.length > 0) await insertMissing(this.#collections.records, piece);
  }
}
