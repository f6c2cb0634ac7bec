import type { RecordBatch } from '../../batch.ts';
import type { Batch, MaxKeys } from '../../storage/contract.ts';
import { admitted, admittedCompanions, isCounted, maxKeysIn } from '../../storage/key-budget.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import type { Calendar } from '../../summaries/periods.ts';
import { seriesOf } from './calls.ts';
import { run, type Server } from './client.ts';
import type { Keys, SeriesKeys } from './keys.ts';
import { RESERVE, RESERVE_KEYS } from './scripts.ts';

/** Maximum number of buckets per call. */
const BUCKETS = 500;
/** Maximum number of keys per call, and of their UTF-16 units. Each call blocks Redis for a millisecond or two. */
const KEYS = 1_000;
const TEXT = 256 * 1024;

/**
 * Decides which keys of a batch have room in their buckets, before the batch is saved. A bucket never has more keys
 * than its budget, whichever processes write: the room for a batch is reserved in the slot of its bucket until the
 * batch is stored. As long as a bucket has room for all keys of a batch, that is one call per series, which looks at
 * no key. Reservations of lost batches end after a day.
 *
 * Tolerance: all keys that other processes have reserved at that moment count as new ones. So near the budget, a bucket
 * may refuse keys although some of its room remains free. The next batches may use it.
 */
export class Admission {
  readonly #server: Server;
  readonly #keys: Keys;
  readonly #calendar: Calendar;
  readonly #site: string;
  readonly #maxKeys: MaxKeys;

  constructor(server: Server, keys: Keys, calendar: Calendar, site: string, maxKeys: MaxKeys) {
    this.#server = server;
    this.#keys = keys;
    this.#calendar = calendar;
    this.#site = site;
    this.#maxKeys = maxKeys;
  }

  async admit(batch: Batch): Promise<Batch> {
    const changed = new Map<DeltaGroup, DeltaGroup>();
    await Promise.all(
      [...seriesOf(batch, this.#calendar)].map(async ([name, groups]) => {
        const [{ summary, period }] = groups as [DeltaGroup];
        const most = maxKeysIn(this.#maxKeys, summary.name, period);
        if (most === Number.POSITIVE_INFINITY) return;
        const keys = this.#keys.of(this.#site, name);
        for (let i = 0; i < groups.length; i += BUCKETS) {
          const crowded = await this.#crowded(batch.journal, groups.slice(i, i + BUCKETS), keys, most);
          for (const group of crowded) {
            const has = await this.#admittedKeys(batch, group, keys, most);
            // The keys without room are those that Redis refused, so none of the others is counted here.
            changed.set(
              group,
              admitted(group, batch.records, most, { count: most, has: (key) => has.has(key) }),
            );
          }
        }
      }),
    );
    if (changed.size === 0) return batch;
    const { deltas, records } = batch;
    return { ...batch, deltas: admittedCompanions(deltas, records, changed) };
  }

  /** Reserves room. Returns the groups whose buckets may have too little. */
  async #crowded(
    journal: string,
    groups: readonly DeltaGroup[],
    { reserved, sums }: SeriesKeys,
    most: number,
  ): Promise<DeltaGroup[]> {
    const dates = groups.map(({ bucket }) => this.#calendar.format(bucket));
    const fits = (await run(
      this.#server,
      RESERVE,
      [reserved, ...dates.map(sums)],
      [journal, ...groups.flatMap(({ key }, i) => [dates[i]!, String(most), String(key.length)])],
    )) as unknown[];
    return groups.filter((_, i) => Number(fits[i]) === 0);
  }

  /** Reserves room for single keys, in the order of the batch. Returns those that have room. */
  async #admittedKeys(
    { journal, records }: Batch,
    { bucket, key }: DeltaGroup,
    { reserved, sums }: SeriesKeys,
    most: number,
  ): Promise<Set<number>> {
    const date = this.#calendar.format(bucket);
    const found = new Set<number>();
    for (const piece of pieces(key, records)) {
      const texts = piece.map((id) => records.strings[id]!);
      const args = [journal, date, String(most), ...texts];
      const fits = String(await run(this.#server, RESERVE_KEYS, [reserved, sums(date)], args));
      for (const [i, id] of piece.entries()) if (fits[i] === '1') found.add(id);
    }
    return found;
  }
}

/** Splits the keys of a group, without those that need no room. */
function* pieces(key: Int32Array, { strings }: RecordBatch): Generator<number[]> {
  let piece: number[] = [];
  let text = 0;
  for (const id of key) {
    const name = strings[id]!;
    if (name === null || !isCounted(name)) continue;
    piece.push(id);
    text += name.length;
    if (piece.length < KEYS && text < TEXT) continue;
    yield piece;
    piece = [];
    text = 0;
  }
  if (piece.length > 0) yield piece;
}
