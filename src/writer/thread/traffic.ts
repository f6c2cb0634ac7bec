import type { RecordBatch } from '../../batch.ts';
import type { Cursor } from '../../journal/position.ts';
import { JournalReader } from '../../journal/reader.ts';
import { TrafficFold, type TrafficState } from '../../metrics/fold.ts';
import { trafficText } from '../../metrics/traffic.ts';
import { monotonicClock } from '../../platform/clock.ts';
import type { HeldJournal } from './journals.ts';

/** For how long the journal is read for one answer: the storages wait meanwhile. In ms. */
const PATIENCE = 250;
/** How many records are read between two looks at the clock. */
const STRIDE = 1_024;

/** What was counted, and up to which position of the own journal. */
export interface CountedTraffic {
  position: number;
  state: TrafficState;
}

/**
 * Counts the requests of this process for the metrics: each record of the own journal once, by the lane that comes
 * to it first; and when it is asked, those too that none has read, as when every storage is down. Dead processes'
 * journals are left out: their requests were no requests of this one, nor of now.
 */
export class Traffic {
  readonly #journal: HeldJournal;
  readonly #fold: TrafficFold;
  #position: number;

  /** @param before What an earlier thread of this process had told. */
  constructor(journal: HeldJournal, before: CountedTraffic | undefined) {
    this.#journal = journal;
    this.#fold = new TrafficFold(before?.state);
    this.#position = before?.position ?? 0;
  }

  /** The records before this position are counted. */
  get position(): number {
    return this.#position;
  }

  /** A lane has read from `from` to `to`; the records of its batch from the one at `first` on were not counted yet. */
  read(batch: RecordBatch, first: number, from: Cursor, to: Cursor): void {
    // What an earlier thread had read, and told nobody.
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

  /** Reads ahead of the lanes. What cannot be read, they come upon. */
  #readTo(end: number): void {
    const { directory, live, memory } = this.#journal;
    if (this.#position >= live!.end) return;
    // Its own each time, without patience for gaps: a piece in memory may still be on its way.
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
      // The lanes tell why.
    } finally {
      reader.close();
    }
  }
}
