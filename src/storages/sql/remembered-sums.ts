import { BoundedCache } from '../../cache.ts';
import { Calendar } from '../../summaries/periods.ts';
import type {
  Keys,
  KeysRequest,
  Measures,
  SeriesRequest,
  SeriesRow,
  Span,
  Total,
  TotalRequest,
} from '../contract.ts';
import { KeyTable, type Piece } from './key-table.ts';
import type { SumQuestions } from './questions.ts';

/** A summary with one key, or few, to which every record adds: it tells whether something came to a time since. */
const WITNESS = 'server';
/** Summaries with fewer keys are added up by the engine as fast. */
const FEW_KEYS = 1_000;
/** With more keys in a piece the engine adds up, each time. */
const MOST_KEYS = 50_000;
/** Keys that are held in all, about 150 bytes each, and as much again in their pieces. */
const MOST_HELD = 200_000;
/** Pieces of a summary, and series, that are held at least; twice as many at most. */
const KEPT = 12;
/** After so long without a question all is forgotten. In ms. */
const IDLE = 15 * 60 * 1000;

type Whole = Pick<KeysRequest, 'site' | 'summary' | 'spans'>;

/** What was read, while the witness still says the same. */
interface Held<T> {
  witness: Measures;
  value: Promise<T>;
}

/** A summary's keys, and its pieces by their spans; a piece without a value has too many keys. */
interface Remembered {
  table: KeyTable;
  pieces: BoundedCache<string, Held<Piece | undefined>>;
  /** Whether the engine is asked, since there are so few keys. */
  isSmall: boolean;
}

/**
 * Remembers what was read of times before today, so that of a long range only today's keys are read again. What came to
 * such a time later, from a journal that was adopted or a copy, changes the sums of `server` in it as well, with the
 * same commit: so nothing that is answered is older than what is stored.
 */
export class RememberedSums {
  readonly #engine: SumQuestions;
  readonly #zoneOf: (site: string) => Promise<string | undefined>;
  readonly #now: () => number;
  readonly #zones = new Map<string, Calendar>();
  /** Those asked for last stand last. */
  readonly #summaries = new Map<string, Remembered>();
  readonly #series = new BoundedCache<string, Held<SeriesRow[]>>(KEPT);
  /** Witnesses that are being read: the panels of a page ask for the same ones at once. */
  readonly #witnesses = new Map<string, Promise<Measures>>();
  #idle: NodeJS.Timeout | undefined;

  constructor(
    engine: SumQuestions,
    zoneOf: (site: string) => Promise<string | undefined>,
    now: () => number = Date.now,
  ) {
    this.#engine = engine;
    this.#zoneOf = zoneOf;
    this.#now = now;
  }

  async keys(request: KeysRequest): Promise<Keys> {
    const summary = this.#summary(request);
    const pieces = await this.#pieces(request, summary);
    if (pieces) return summary.table.page(pieces, request);
    const answer = await this.#engine.keys(request);
    // It has grown.
    if (answer.count > FEW_KEYS) summary.isSmall = false;
    return answer;
  }

  async total({ target, ...request }: TotalRequest): Promise<Total> {
    if (target !== undefined) return this.#engine.total({ target, ...request });
    const summary = this.#summary(request);
    const pieces = await this.#pieces(request, summary);
    return pieces ? summary.table.total(pieces) : this.#engine.total({ target, ...request });
  }

  async series(request: SeriesRequest): Promise<SeriesRow[]> {
    const { site, summary, period, target, from, to } = request;
    const zone = await this.#zone(site);
    if (!zone || target !== undefined || summary === WITNESS) return this.#engine.series(request);
    const today = zone.bucketOf(period, zone.dayOf(this.#now()));
    const before = { ...request, to: Math.min(to, today - 1) };
    const since = { ...request, from: Math.max(from, today) };
    const [over, open] = await Promise.all([
      before.from <= before.to ? this.#seriesOver(before) : [],
      since.from <= since.to ? this.#engine.series(since) : [],
    ]);
    return [...over, ...open];
  }

  async #seriesOver(request: SeriesRequest): Promise<SeriesRow[]> {
    const { site, summary, period, from, to } = request;
    const witness = await this.#witness(site, { period, from, to });
    const name = JSON.stringify([site, summary, period, from, to]);
    const hits = (rows: SeriesRow[]) => rows.reduce((sum, row) => sum + row.hits, 0);
    return held(this.#series, name, witness, () => this.#engine.series(request), hits);
  }

  /** The pieces that make up the range; `undefined` where the engine is to answer. */
  async #pieces(request: Whole, summary: Remembered): Promise<Piece[] | undefined> {
    const { site, summary: name, spans } = request;
    if (name === WITNESS || summary.isSmall) return undefined;
    const zone = await this.#zone(site);
    if (!zone) return undefined;
    const today = zone.dayOf(this.#now());
    const found = await Promise.all(
      apart(spans, zone, today).map((span) =>
        span.from < today
          ? this.#over(request, summary, span)
          : this.#read(request, summary, span, span.period === 'day' && span.from === today),
      ),
    );
    const pieces = found.filter((piece) => piece !== undefined);
    if (pieces.length < found.length) return undefined;
    summary.isSmall = summary.table.size < FEW_KEYS;
    this.#forget();
    return pieces;
  }

  async #over(request: Whole, summary: Remembered, span: Span): Promise<Piece | undefined> {
    const witness = await this.#witness(request.site, span);
    const read = () => this.#read(request, summary, span, false);
    return held(summary.pieces, JSON.stringify(span), witness, read, (piece) => piece?.total ?? 0);
  }

  /** `undefined` where there are too many keys. */
  async #read(
    { site, summary }: Whole,
    { table }: Remembered,
    span: Span,
    isOne: boolean,
  ): Promise<Piece | undefined> {
    const rows = await this.#engine.ids({ site, summary, spans: [span] }, MOST_KEYS + 1, isOne);
    return rows.length > MOST_KEYS ? undefined : table.piece(rows);
  }

  #summary({ site, summary }: Pick<KeysRequest, 'site' | 'summary'>): Remembered {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#clear(), IDLE);
    this.#idle.unref();
    const name = JSON.stringify([site, summary]);
    const remembered = this.#summaries.get(name) ?? {
      table: new KeyTable((ids) => this.#engine.texts(ids)),
      pieces: new BoundedCache(KEPT),
      isSmall: false,
    };
    this.#summaries.delete(name);
    this.#summaries.set(name, remembered);
    return remembered;
  }

  /** Summaries that were not asked for of late, until there is room. */
  #forget(): void {
    let size = 0;
    for (const { table } of this.#summaries.values()) size += table.size;
    for (const [name, { table }] of this.#summaries) {
      if (size <= MOST_HELD) return;
      size -= table.size;
      this.#summaries.delete(name);
    }
  }

  #clear(): void {
    this.#summaries.clear();
    this.#series.clear();
    this.#zones.clear();
  }

  #witness(site: string, span: Span): Promise<Measures> {
    const name = JSON.stringify([site, span]);
    let reading = this.#witnesses.get(name);
    if (!reading) {
      reading = this.#engine.total({ site, summary: WITNESS, spans: [span], target: undefined });
      this.#witnesses.set(name, reading);
      const done = () => this.#witnesses.delete(name);
      reading.then(done, done);
    }
    return reading;
  }

  /** The calendar of a site; nothing is stored of one that has none. */
  async #zone(site: string): Promise<Calendar | undefined> {
    const known = this.#zones.get(site);
    if (known) return known;
    const name = await this.#zoneOf(site);
    if (name === undefined) return undefined;
    const zone = new Calendar(name);
    this.#zones.set(site, zone);
    return zone;
  }
}

/**
 * The value while the witness says the same, else what is read anew.
 * @param hitsOf With more hits than the witness has, there are requests that it does not tell of: nothing is held.
 */
async function held<T>(
  cache: BoundedCache<string, Held<T>>,
  name: string,
  witness: Measures,
  read: () => Promise<T>,
  hitsOf: (value: T) => number,
): Promise<T> {
  const known = cache.get(name);
  if (known && isSame(known.witness, witness)) return known.value;
  const reading = { witness, value: read() };
  cache.set(name, reading);
  let isHeld = false;
  try {
    const value = await reading.value;
    isHeld = hitsOf(value) <= witness.hits;
    return value;
  } finally {
    // What failed is tried again.
    if (!isHeld && cache.get(name) === reading) cache.delete(name);
  }
}

function isSame(a: Measures, b: Measures): boolean {
  return a.hits === b.hits && a.transfer === b.transfer && a.errors === b.errors && a.duration === b.duration;
}

/** The same buckets, today's apart from those before: of this month, which is one bucket, its days. */
function apart(spans: readonly Span[], zone: Calendar, today: number): Span[] {
  const month = zone.monthOf(today);
  return spans
    .flatMap((span): Span[] =>
      span.period === 'month' && span.from <= month && month <= span.to
        ? [
            { ...span, to: month - 1 },
            { period: 'day', from: month, to: zone.next('month', month) - 1 },
            { ...span, from: zone.next('month', month) },
          ]
        : [span],
    )
    .flatMap((span) => [
      { ...span, to: Math.min(span.to, today - 1) },
      { ...span, from: Math.max(span.from, today) },
    ])
    .filter(({ from, to }) => from <= to);
}
