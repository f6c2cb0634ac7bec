import type { RecordBatch } from '../../batch.ts';
import type { Batch } from '../../storage/contract.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import type { Calendar } from '../../summaries/periods.ts';
import { type Keys, seriesName } from './keys.ts';
import type { RedisLocation } from './options.ts';
import { jsonOf } from './records.ts';
import { ADD, RECORD } from './scripts.ts';

/** One call of a script. */
export interface Call {
  script: string;
  keys: string[];
  args: string[];
}

/** Calls to one slot, in sequence. */
export interface Chain {
  guard: string;
  calls: Iterable<Call>;
}

/** Maximum number of sums or records per call. Each call blocks Redis for a millisecond or two. */
const ROWS = 500;
const RECORDS = 200;
/** Maximum size of a call, since keys and records may be large. In UTF-16 units. */
const TEXT = 256 * 1024;
/** Age up to which a late record is not recorded as late. Most requests are shorter. In ms. */
export const LATENESS = 10_000;
const DAY = 86_400_000;

/** Chains of a batch, each in the order of the batch, because the scripts count rows. */
export class BatchCalls {
  readonly #batch: Batch;
  readonly #keys: Keys;
  readonly #location: RedisLocation;
  readonly #calendar: Calendar;
  readonly #site: string;
  /** Encoded numbers of a group's rows. Those of its hour, day and month are mostly the same. */
  readonly #numbers = new Map<Float64Array, string[]>();

  constructor(batch: Batch, keys: Keys, location: RedisLocation, calendar: Calendar, site: string) {
    this.#batch = batch;
    this.#keys = keys;
    this.#location = location;
    this.#calendar = calendar;
    this.#site = site;
  }

  /** Returns the sums of each series, by its name. */
  series(): Map<string, DeltaGroup[]> {
    const filled = this.#batch.deltas.filter(({ key }) => key.length > 0);
    return Map.groupBy(filled, ({ summary, period, bucket }) =>
      seriesName(summary.name, period, this.#calendar.format(this.#calendar.monthOf(bucket)).slice(0, 7)),
    );
  }

  chains(series: Map<string, DeltaGroup[]>): Chain[] {
    const chains = [...series].map(([name, groups]): Chain => {
      const keys = this.#keys.of(this.#site, name);
      const guard = keys.guard(this.#batch.journal);
      return { guard, calls: this.#add(groups, keys, guard) };
    });
    if (this.#batch.records.length > 0 && this.#location.maxRecords > 0) {
      const keys = this.#keys.records(this.#site);
      const guard = keys.guard(this.#batch.journal);
      chains.push({ guard, calls: this.#record(this.#batch.records, [guard, keys.stream, keys.late]) });
    }
    return chains;
  }

  *#add(groups: readonly DeltaGroup[], keys: ReturnType<Keys['of']>, guard: string): Generator<Call> {
    const { strings } = this.#batch.records;
    const position = String(this.#batch.to.position);
    const [{ period, bucket: first }] = groups as [DeltaGroup];
    const expires = this.#expires(period, this.#calendar.next('month', this.#calendar.monthOf(first)));
    let before = 0;
    let rows = 0;
    let text = 0;
    let call!: Call;
    const begin = () => {
      call = { script: ADD, keys: [guard, keys.buckets], args: [position, String(before), expires] };
      rows = 0;
      text = 0;
    };
    begin();
    for (const group of groups) {
      const { bucket, key } = group;
      const date = this.#calendar.format(bucket);
      const numbers = this.#numbersOf(group);
      for (let i = 0; i < key.length; ) {
        call.keys.push(keys.sums(date), keys.tops(date));
        call.args.push(date, String(bucket), this.#expires(period, this.#calendar.next(period, bucket)), '');
        const count = call.args.length - 1;
        const from = i;
        while (i < key.length && rows < ROWS && text < TEXT) {
          const name = strings[key[i]!] ?? '';
          call.args.push(name, numbers[i]!);
          text += name.length;
          rows += 1;
          i += 1;
        }
        call.args[count] = String(i - from);
        if (rows < ROWS && text < TEXT) continue;
        before += rows;
        yield call;
        begin();
      }
    }
    if (rows > 0) yield call;
  }

  *#record(records: RecordBatch, keys: string[]): Generator<Call> {
    const position = String(this.#batch.to.position);
    for (let i = 0; i < records.length; ) {
      const args = [position, String(i), String(this.#location.maxRecords), String(LATENESS)];
      for (let text = 0, n = 0; i < records.length && n < RECORDS && text < TEXT; i++, n++) {
        const json = jsonOf(records, i);
        args.push(String(Math.floor(records.date[i]!)), json);
        text += json.length;
      }
      yield { script: RECORD, keys, args };
    }
  }

  #expires(period: DeltaGroup['period'], end: number): string {
    const days = this.#location.ttl[period];
    return days === undefined ? '0' : String(end + days * DAY);
  }

  #numbersOf({ hits, transfer, errors, duration }: DeltaGroup): string[] {
    let numbers = this.#numbers.get(hits);
    if (!numbers) {
      numbers = Array.from(
        hits,
        (count, i) => `${whole(count)} ${whole(transfer[i]!)} ${whole(errors[i]!)} ${whole(duration[i]!)}`,
      );
      this.#numbers.set(hits, numbers);
    }
    return numbers;
  }
}

/** Returns all digits of an integer. From 10^21, JavaScript would write an exponent. */
function whole(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : BigInt(Math.round(value)).toString();
}
