import type { RecordBatch } from '../../batch.ts';
import type { Batch, WriterContext } from '../../storage/contract.ts';
import { KEEP_ALL, type Retention } from '../../storage/retention.ts';
import type { DeltaGroup } from '../../summaries/fold.ts';
import type { Calendar } from '../../summaries/periods.ts';
import { expiryOf } from './expiry.ts';
import { type Keys, seriesName } from './keys.ts';
import type { RedisLocation } from './options.ts';
import { jsonOf } from './records.ts';
import { ADD, RECORD, SKIP } from './scripts.ts';

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

/** Returns the sums of a batch for each series, by its name. */
export function seriesOf({ deltas }: Batch, calendar: Calendar): Map<string, DeltaGroup[]> {
  const filled = deltas.filter(({ key }) => key.length > 0);
  return Map.groupBy(filled, ({ summary, period, bucket }) =>
    seriesName(summary.name, period, calendar.format(calendar.monthOf(bucket)).slice(0, 7)),
  );
}

/** Chains of a batch, each in the order of the batch, because the scripts count rows. */
export class BatchCalls {
  readonly #batch: Batch;
  readonly #keys: Keys;
  readonly #location: RedisLocation;
  readonly #calendar: Calendar;
  readonly #site: string;
  readonly #retention: Retention;
  /** Encoded numbers of a group's rows. Those of its hour, day and month are mostly the same. */
  readonly #numbers = new Map<Float64Array, string[]>();

  constructor(
    batch: Batch,
    keys: Keys,
    location: RedisLocation,
    calendar: Calendar,
    { site, retention = KEEP_ALL }: Pick<WriterContext, 'site' | 'retention'>,
  ) {
    this.#batch = batch;
    this.#keys = keys;
    this.#location = location;
    this.#calendar = calendar;
    this.#site = site;
    this.#retention = retention;
  }

  chains(series: Map<string, DeltaGroup[]>): Chain[] {
    const chains = [...series].map(([name, groups]): Chain => {
      const keys = this.#keys.of(this.#site, name);
      const guard = keys.guard(this.#batch.journal);
      return { guard, calls: this.#add(groups, keys, guard) };
    });
    const { records, journal } = this.#batch;
    if (records.length === 0) return chains;
    const { guard: guardOf, stream, late } = this.#keys.records(this.#site);
    const guard = guardOf(journal);
    const calls =
      this.#location.maxRecords > 0
        ? this.#record(records, [guard, stream, late])
        : this.#skip(records, late);
    return [...chains, { guard, calls }];
  }

  *#add(groups: readonly DeltaGroup[], keys: ReturnType<Keys['of']>, guard: string): Generator<Call> {
    const { strings } = this.#batch.records;
    const position = String(this.#batch.to.position);
    const [{ period, bucket: first }] = groups as [DeltaGroup];
    const expires = this.#expires(period, this.#calendar.next('month', this.#calendar.monthOf(first)) - 1);
    let before = 0;
    let rows = 0;
    let text = 0;
    let call!: Call;
    const begin = () => {
      call = {
        script: ADD,
        keys: [guard, keys.buckets, keys.reserved],
        args: [position, String(before), expires, this.#batch.journal],
      };
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
        const at = call.args.push(date, String(bucket), this.#expires(period, bucket));
        call.args.push('', '0', '0');
        const from = i;
        while (i < key.length && rows < ROWS && text < TEXT) {
          const name = strings[key[i]!]!;
          call.args.push(name ?? '', numbers[i]!);
          text += name?.length ?? 0;
          rows += 1;
          i += 1;
          if (name === null) call.args[at + 1] = String(i - from);
        }
        call.args[at] = String(i - from);
        if (i === key.length) call.args[at + 2] = '1';
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

  /** Moves the end of the records that are not kept. */
  *#skip({ date, length }: RecordBatch, late: string): Generator<Call> {
    let last = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < length; i++) last = Math.max(last, date[i]!);
    yield { script: SKIP, keys: [late], args: [String(Math.floor(last) + 1)] };
  }

  #expires(period: DeltaGroup['period'], bucket: number): string {
    return expiryOf(this.#retention, period, this.#calendar, bucket);
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
