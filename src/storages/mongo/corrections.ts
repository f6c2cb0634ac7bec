import { RecordBatch } from '../../batch.ts';
import type { Position } from '../../journal/position.ts';
import type { Batch } from '../../storage/contract.ts';
import { isNegative } from '../../storage/key-budget.ts';
import { MEASURES } from '../../storage/measures.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import type { Period } from '../../summaries/periods.ts';
import { type Collections, insertMissing, limited } from './collections.ts';

/** Number of sums per document. */
const SUMS_PER_DOCUMENT = 500;

type Columns = Record<(typeof MEASURES)[number], number[]>;

/** A part of a saved batch. */
interface SavedPart extends Columns {
  _id: string;
  journal: string;
  from: Position;
  to: Position;
  summary: string;
  period: Period;
  date: Date;
  keys: (string | null)[];
}

/**
 * Saves the batches that move sums from one key to another, because no journal contains them. If the process is killed
 * while it stores such a batch, the next one completes it. Otherwise, the sums of one key would be gone, and those of the
 * other missing.
 */
export class Corrections {
  readonly #collections: Collections;

  constructor(collections: Collections) {
    this.#collections = collections;
  }

  /** Saves a batch before it is begun. Returns false if it need not be saved. */
  async save({ journal, from, to, records, deltas }: Batch): Promise<boolean> {
    if (records.length > 0 || !deltas.some(isNegative)) return false;
    const parts = deltas.flatMap((group) =>
      Array.from({ length: Math.ceil(group.key.length / SUMS_PER_DOCUMENT) }, (_, n) => {
        const range = [n * SUMS_PER_DOCUMENT, (n + 1) * SUMS_PER_DOCUMENT] as const;
        const columns = MEASURES.map((measure) => [measure, [...group[measure].slice(...range)]]);
        return {
          ...{ journal, from, to, summary: group.summary.name, period: group.period },
          date: new Date(group.bucket),
          keys: Array.from(group.key.slice(...range), (local) => records.strings[local]!),
          ...(Object.fromEntries(columns) as Columns),
        };
      }),
    );
    const documents = parts.map((part, n) => ({ _id: `${journal} ${to.position} ${n}`, ...part }));
    await insertMissing(this.#collections.corrections, documents);
    return true;
  }

  /**
   * Returns a saved batch of a journal.
   * @param end Its last position.
   */
  async find(journal: string, end: number): Promise<Batch | undefined> {
    const { corrections } = this.#collections;
    const found = await limited(corrections.find({ journal, 'to.position': end }).toArray());
    const parts = found as unknown as SavedPart[];
    if (parts.length === 0) return undefined;
    const { from, to } = parts[0]!;
    const records = new RecordBatch(1);
    const deltas = parts.map(({ summary, period, date, keys, ...columns }): DeltaGroup => {
      const measures = MEASURES.map((measure) => [measure, Float64Array.from(columns[measure])]);
      return {
        summary: { name: summary, title: summary },
        period,
        bucket: date.getTime(),
        key: Int32Array.from(keys, (key) => records.internStored(key)),
        ...(Object.fromEntries(measures) as Record<(typeof MEASURES)[number], Float64Array<ArrayBuffer>>),
      };
    });
    return { journal, from, to, records, deltas };
  }

  /** Deletes the saved batches of a journal. */
  async remove(journal: string): Promise<void> {
    await limited(this.#collections.corrections.deleteMany({ journal }));
  }
}
