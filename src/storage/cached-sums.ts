import { BoundedCache } from '../platform/cache.ts';
import { clearTimeout, monotonicClock, nextTick, setTimeout, wallClock } from '../platform/clock.ts';
import { CHANGES, COVERAGE, coveredBy, OTHERS, RESERVED } from '../summaries/coverage.ts';
import { companionBase } from '../summaries/latency.ts';
import { type Calendar, calendar } from '../summaries/periods.ts';
import { type Buckets, cheapestRead, splitAtToday } from './buckets.ts';
import {
  EVERY_KEY,
  type KeyRow,
  type Keys,
  type KeysRequest,
  type Measures,
  type SeriesRequest,
  type SeriesRow,
  type Span,
  type StorageReader,
  type Total,
  type TotalRequest,
} from './contract.ts';
import { type KeyColumns, KeyTable, MissingText, type Piece } from './key-table.ts';
import { addMeasures, isEqual, MEASURES, noMeasures, sumOf } from './measures.ts';

/** Range of all buckets that any engine can hold. In ms since 1970. */
const ALWAYS = { from: 0, to: 253_402_300_799_999 };
/** Maximum number of keys in a cached piece. Larger ones are left to the engine. */
const MAX_KEYS = 50_000;
/** Maximum number of cached keys and parts. A key takes about 150 bytes, each part 36. */
const MAX_CACHED_SUMS = 600_000;
/** Maximum number of cached pieces per summary. Twice as many for series. */
const MAX_PIECES = 12;
/** Maximum number of summaries tracked, including nonexistent ones. */
const MAX_SUMMARIES = 200;
/**
 * Time during which a summary is left to the engine, if caching its keys is not worthwhile or not safe.
 */
const ENGINE_ONLY_MS = 60_000;
/** Idle time after which the cache is cleared. In ms. */
const IDLE = 15 * 60_000;

type AllKeysRequest = Pick<KeysRequest, 'site' | 'summary' | 'spans' | 'daysFrom'>;

/** Request for the keys of a summary. */
export type KeyIdsRequest = Pick<KeysRequest, 'site' | 'summary'> & Buckets;

/** The queries on sums of an engine. */
export interface SumSource extends Required<Pick<StorageReader, 'keys' | 'total' | 'series'>> {
  /** Number of keys below which the engine is as fast as the cache. */
  readonly fewKeys: number;
  /**
   * Returns the stored keys, each once or several times, or `undefined` if there are more than `most`.
   * @param isRaw Set if almost no key has several buckets: nothing needs to be added up.
   */
  ids(request: KeyIdsRequest, most: number, isRaw: boolean): Promise<KeyColumns | undefined>;
  /** Looks up texts by their IDs. */
  texts(ids: readonly number[]): Promise<Map<number, string>>;
}

/** Total count of a summary over a span, and number of changes of the site's sums. */
interface State {
  counted: Measures;
  changes: number;
}

/** A value read from a summary, and the state at that time. */
interface CachedValue<T> extends State {
  value: Promise<T>;
}
interface Cache<T> {
  get(name: string): CachedValue<T> | undefined;
  set(name: string, value: CachedValue<T>): unknown;
  delete(name: string): unknown;
}

/** Cached keys of a summary, and its pieces by span. */
interface CachedSummary {
  table: KeyTable;
  pieces: Map<string, CachedValue<Piece | undefined>>;
  /** Number of keys in each piece, least recently used first. */
  sizes: Map<string, number>;
  /** `performance.now()` timestamp until which queries go to the engine, in ms. */
  engineUntil: number;
}

/**
 * Caches the sums of days before today, so that a query over a long range reads only today's keys.
 *
 * An adopted journal can add records to an earlier day. The same commit then changes the `COVERAGE` sums of
 * that day, whichever app stored it. A rebuild or the deletion of a person changes sums without them, and adds to
 * `CHANGES` instead. A cached value is used only if both are identical. So no result is older than the data stored
 * when the query started.
 */
export class CachedSums {
  readonly #engine: SumSource;
  readonly #zoneOf: (site: string) => Promise<string | undefined>;
  readonly #now: () => number;
  #zones = new Map<string, Calendar>();
  /** Cached summaries, least recently used first. */
  #summaries = new Map<string, CachedSummary>();
  #series = new BoundedCache<string, CachedValue<SeriesRow[]>>(MAX_PIECES);
  /** Coverage requests of the current turn. Shared, because the panels of a page send the same ones. */
  readonly #coverage = new Map<string, Promise<readonly KeyRow[]>>();
  /** Requests of the number of changes of the current turn, by site. */
  readonly #changes = new Map<string, Promise<number>>();
  /** Last number of changes of each site in `#zones`. */
  #lastChanges = new Map<string, number>();
  #idle: NodeJS.Timeout | undefined;

  /**
   * Creates an empty cache.
   * @param now Returns the current time in ms since 1970. Determines which day is today.
   */
  constructor(
    engine: SumSource,
    zoneOf: (site: string) => Promise<string | undefined>,
    now: () => number = () => wallClock.now(),
  ) {
    this.#engine = engine;
    this.#zoneOf = zoneOf;
    this.#now = now;
  }

  async keys(request: KeysRequest): Promise<Keys> {
    const remembered = await this.#pieces(request);
    if (!remembered) return this.#engine.keys(request);
    try {
      return await remembered.table.page(remembered.pieces, request);
    } catch (error) {
      this.#forgetAll();
      if (!(error instanceof MissingText)) throw error;
      // The text was deleted after its ID was read. The engine reads both at the same time.
      return this.#engine.keys(request);
    }
  }

  async total({ target, ...request }: TotalRequest): Promise<Total> {
    const remembered = target === undefined ? await this.#pieces(request) : undefined;
    return remembered
      ? remembered.table.total(remembered.pieces)
      : this.#engine.total({ target, ...request });
  }

  async series(request: SeriesRequest): Promise<SeriesRow[]> {
    const { site, summary, period, target, from, to } = request;
    const zone = await this.#zone(site);
    if (!zone || target !== undefined || RESERVED.includes(summary)) return this.#engine.series(request);
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
    this.#keepAwake();
    const { site, summary, period, from, to } = request;
    const state = await this.#state(site, summary, { period, from, to });
    const name = JSON.stringify([site, summary, period, from, to]);
    return cached(this.#series, name, state, () => this.#engine.series(request), sumOf);
  }

  /** Returns the pieces that cover the range, or `undefined` if the engine is to run the query. */
  async #pieces(request: AllKeysRequest): Promise<{ table: KeyTable; pieces: Piece[] } | undefined> {
    const { site, summary, spans, daysFrom } = request;
    const zone = await this.#zone(site);
    if (RESERVED.includes(summary) || !zone || spans.length === 0) return undefined;
    const remembered = this.#summary(request);
    if (monotonicClock.now() < remembered.engineUntil) return undefined;
    const { table } = remembered;
    try {
      const today = zone.dayOf(this.#now());
      const parts = splitAtToday(spans, zone, today, daysFrom).map((span) =>
        span.from < today
          ? this.#cachedPiece(request, remembered, span, () => cheapestRead(span, zone, today, daysFrom))
          : this.#read(request, table, { spans: [span] }, true),
      );
      const [isCurrent, ...found] = await Promise.all([table.isCurrent(), ...parts]);
      if (!isCurrent) this.#forgetAll();
      const pieces = found.filter((piece) => piece !== undefined);
      const isWorthCaching = pieces.length === found.length && table.size >= this.#engine.fewKeys;
      if (!isWorthCaching) remembered.engineUntil = monotonicClock.now() + ENGINE_ONLY_MS;
      return isCurrent && pieces.length === found.length ? { table, pieces } : undefined;
    } catch (error) {
      // The database may be a different one when it is available again.
      this.#forgetAll();
      throw error;
    } finally {
      this.#evict();
    }
  }

  /** Returns the sums over a span, or `undefined` if they are not cached. */
  async #cachedPiece(
    request: AllKeysRequest,
    { table, pieces, sizes }: CachedSummary,
    span: Span,
    fewest: () => Buckets,
  ): Promise<Piece | undefined> {
    const state = await this.#state(request.site, request.summary, span);
    const { counted } = state;
    // Looking up an empty span costs nothing, and its result is not cached.
    const read = async () => {
      const buckets = counted.hits === 0 ? { spans: [span] } : await this.#exact(request, span, fewest());
      return this.#read(request, table, buckets, false);
    };
    const name = JSON.stringify(span);
    const piece = await cached(pieces, name, state, read, (value) => value?.total);
    if (!piece || !isSame(piece.total, counted)) return undefined;
    sizes.delete(name);
    sizes.set(name, piece.indexes.length);
    for (const oldest of sizes.keys()) {
      if (sizes.size <= MAX_PIECES) break;
      sizes.delete(oldest);
      pieces.delete(oldest);
    }
    return piece;
  }

  /**
   * Returns buckets only if they add up to the span for each key. A month and its days do not if a key budget was
   * reached, because each of them may then count a key under `OTHERS`.
   */
  async #exact({ site, summary }: AllKeysRequest, span: Span, fewest: Buckets): Promise<Buckets> {
    const { spans, less = [] } = fewest;
    if (spans.every(({ period }) => period === span.period)) return fewest;
    const request = { site, summary, spans: [...spans, ...less], target: OTHERS };
    return (await this.#engine.total(request)).hits > 0 ? { spans: [span] } : fewest;
  }

  /** Reads a piece, or returns `undefined` if it has too many keys. */
  async #read(
    { site, summary }: AllKeysRequest,
    table: KeyTable,
    buckets: Buckets,
    isRaw: boolean,
  ): Promise<Piece | undefined> {
    const columns = await this.#engine.ids({ site, summary, ...buckets }, MAX_KEYS, isRaw);
    return columns && table.piece(columns);
  }

  #summary({ site, summary }: AllKeysRequest): CachedSummary {
    this.#keepAwake();
    const name = JSON.stringify([site, summary]);
    const remembered = this.#summaries.get(name) ?? this.#empty();
    this.#summaries.delete(name);
    this.#summaries.set(name, remembered);
    const [oldest] = this.#summaries.keys();
    if (this.#summaries.size > MAX_SUMMARIES) this.#summaries.delete(oldest!);
    return remembered;
  }

  #empty(engineUntil = 0): CachedSummary {
    const table = new KeyTable((ids) => this.#engine.texts(ids));
    return { table, pieces: new Map(), sizes: new Map(), engineUntil };
  }

  /** Evicts the least recently used summaries until there is room. */
  #evict(): void {
    const sizes = [...this.#summaries].map(([name, { table, sizes }]) => {
      return { name, size: [...sizes.values()].reduce((sum, size) => sum + size, table.size) };
    });
    let size = sizes.reduce((sum, each) => sum + each.size, 0);
    for (const each of sizes) {
      if (size <= MAX_CACHED_SUMS) return;
      size -= each.size;
      if (each.size > 0) this.#summaries.set(each.name, this.#empty(monotonicClock.now() + ENGINE_ONLY_MS));
    }
  }

  #keepAwake(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#forgetAll(), IDLE);
    this.#idle.unref();
  }

  #forgetAll(): void {
    this.#summaries = new Map();
    this.#series = new BoundedCache(MAX_PIECES);
    this.#zones = new Map();
    this.#lastChanges = new Map();
  }

  /** Returns the total count of a summary over a span, from its coverage, and the changes of the site's sums. */
  async #state(site: string, summary: string, span: Span): Promise<State> {
    const [rows, changes] = await Promise.all([this.#coverageOf(site, span), this.#changesOf(site)]);
    const counted = noMeasures();
    for (const row of rows) {
      if (coveredBy(row.key).includes(summary)) addMeasures(counted, row);
    }
    // Companions have no other measures.
    if (companionBase(summary) !== undefined) Object.assign(counted, noMeasures(), { hits: counted.hits });
    return { counted, changes };
  }

  #coverageOf(site: string, span: Span): Promise<readonly KeyRow[]> {
    return inTurn(this.#coverage, JSON.stringify([site, span]), async () => {
      const request = { site, summary: COVERAGE.name, spans: [span], ...EVERY_KEY };
      return (await this.#engine.keys(request)).rows;
    });
  }

  #changesOf(site: string): Promise<number> {
    return inTurn(this.#changes, site, async () => {
      const spans = [{ period: 'month', ...ALWAYS }] as const;
      const { hits } = await this.#engine.total({ site, summary: CHANGES.name, spans, target: undefined });
      // The time zone may have been changed.
      const last = this.#lastChanges.get(site) ?? hits;
      if (hits !== last) this.#zones.delete(site);
      this.#lastChanges.set(site, hits);
      return hits;
    });
  }

  /** Returns the calendar of a site, or `undefined` if it has no stored data. */
  async #zone(site: string): Promise<Calendar | undefined> {
    const known = this.#zones.get(site);
    if (known) return known;
    const name = await this.#zoneOf(site);
    if (name === undefined) return undefined;
    const zone = calendar(name);
    this.#zones.set(site, zone);
    return zone;
  }
}

/** Shares a request with the others of this turn. A later query must see what was committed until then. */
function inTurn<T>(shared: Map<string, Promise<T>>, name: string, read: () => Promise<T>): Promise<T> {
  let reading = shared.get(name);
  if (!reading) {
    reading = read();
    shared.set(name, reading);
    const done = () => shared.delete(name);
    reading.then(done, done);
    nextTick(done);
  }
  return reading;
}

/**
 * Returns the cached value if the summary's count is unchanged. Otherwise reads it again.
 * @param sumsOf Returns the count stored with a value. The value is current if this equals the count of the
 * summary.
 */
async function cached<T>(
  cache: Cache<T>,
  name: string,
  { counted, changes }: State,
  read: () => Promise<T>,
  sumsOf: (value: T) => Measures | undefined,
): Promise<T> {
  const known = cache.get(name);
  const isKnown = known && known.changes === changes && isSame(known.counted, counted);
  if (isKnown && counted.hits > 0) return known.value;
  const reading = { counted, changes, value: read() };
  cache.set(name, reading);
  let isCurrent = false;
  try {
    const value = await reading.value;
    const sums = sumsOf(value);
    isCurrent = sums !== undefined && isSame(sums, counted);
    return value;
  } finally {
    // A failed read is retried.
    if (!isCurrent && cache.get(name) === reading) cache.delete(name);
  }
}

/** Compares exactly. Beyond 2^53, sums are not exact and never count as equal. */
function isSame(a: Measures, b: Measures): boolean {
  return isEqual(a, b) && MEASURES.every((name) => Number.isSafeInteger(a[name]));
}
