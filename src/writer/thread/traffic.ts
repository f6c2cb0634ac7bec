import type { RecordBatch } from '../../batch.ts';
import type { Cursor } from '../../journal/position.ts';
import { JournalReader } from '../../journal/reader.ts';
import { TrafficFold, type TrafficState } from '../../metrics/fold.ts';
import { trafficText } from '../../metrics/traffic.ts';
import { monotonicClock } from '../../platform/clock.ts';
import type { HeldJournal } from './journals.ts';

/** Maximum time that a query reads the journal, because the storages wait meanwhile. In ms. */
const PATIENCE = 250;
/** Number of records read between two checks of the time. */
const STRIDE = 1_024;

/** Counts, and the position in the own journal up to which they apply. */
export interface CountedTraffic {
  position: number;
  state: TrafficState;
}

/**
 * Counts this process's requests for the metrics. Each record of the own journal is counted once, by the
 * first pipeline that reads it. A query also counts records that no pipeline has read, for example while
 * every storage is offline. Dead processes' journals are excluded, because their requests do not belong to
 * this process.
 */
export class Traffic {
  readonly #journal: HeldJournal;
  readonly #fold: TrafficFold;
  #position: number;

  /**
   * Creates the counter.
   * @param before Last counts of an earlier thread of this process.
   */
  constructor(journal: HeldJournal, before: CountedTraffic | undefined) {
    this.#journal = journal;
    this.#fold = new TrafficFold(before?.state);
    this.#position = before?.position ?? 0;
  }

  /** Position before which all records are counted. */
  get position(): number {
    return this.#position;
  }

  /**
   * Counts the records that a pipeline has read from `from` to `to`. Those of its batch from index `first` on
   * were not counted yet.
   */
  read(batch: RecordBatch, first: number, from: Cursor, to: Cursor): void {
    // Records that an earlier thread had read and not reported.
    if (from.position > this.#position) this.#readTo(from.position);
    this.#fold.addBatch(batch, first);
    this.#position = Math.max(this.#position, to.position);
  }

  answer(openMetrics: boolean): { text: string; counted: CountedTraffic } {
    this.#readTo(Number.POSITIVE_INFINITY);
    return {
      text: trafficText(this.#fold, openMetrics),
      counted: { position: this.#position, state: this.#fold.state() },
    };
  }

  /** Reads ahead of the pipelines. Ignores what cannot be read; the pipelines handle it. */
  #readTo(end: number): void {
    const { directory, live, memory } = this.#journal;
    if (this.#position >= live!.end) return;
    // A new reader without patience for gaps, because a piece in memory may still be in transit.
    const reader = new JournalReader(directory, live, memory, Number.POSITIVE_INFINITY);
    const deadline = monotonicClock.now() + PATIENCE;
    let records = 0;
    try {
      const { position } = reader.read(
        { position: this.#position, ordinal: 0 },
        end,
        (facts, behind) => {
          if (++records % STRIDE === 0 && monotonicClock.now() > deadline) return false;
          const { route, method, status, duration, contentLength } = facts;
          this.#fold.add(route, method, status, duration, contentLength);
          this.#position = behind;
          return true;
        },
        { lost() {}, damaged() {}, gone() {} },
      );
      this.#position = position;
    } catch {
      // The pipelines report the error.
    } finally {
      reader.close();
    }
  }
}
