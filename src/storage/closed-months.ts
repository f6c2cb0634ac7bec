import { BoundedCache } from '../platform/cache.ts';
import { COVERAGE } from '../summaries/coverage.ts';
import type {
  KeyRow,
  Keys,
  KeysRequest,
  Measures,
  Span,
  StorageReader,
  Total,
  TotalRequest,
} from './contract.ts';
import { addTo, pageOfKeys } from './fold-sums.ts';
import { addMeasures, noMeasures } from './measures.ts';

/** Maximum number of keys cached per summary. With more, the engine adds up all months each time. */
const MOST_KEYS = 25_000;
/** Minimum number of cached summaries and ranges. The maximum is twice as many. */
const KEPT = 12;

type Reader = Required<Pick<StorageReader, 'keys' | 'total'>>;

/** Keys of past months; `undefined` if there are too many. */
interface Closed {
  /** Coverage of these months when the keys were read, as JSON. */
  stored: string;
  rows: Promise<readonly KeyRow[] | undefined>;
}

/**
 * Caches the keys of past months. A year of keys is added up once; later queries read only the rest of the
 * range. Adopted journals and copies can add data to a past month, which also changes its `COVERAGE` sums.
 */
export class ClosedMonths implements Reader {
  readonly #engine: Reader;
  readonly #closed = new BoundedCache<string, Closed>(KEPT);

  constructor(engine: Reader) {
    this.#engine = engine;
  }

  async keys(request: KeysRequest): Promise<Keys> {
    const rows = await this.#rows(request);
    return rows ? pageOfKeys(rows, request) : this.#engine.keys(request);
  }

  async total(request: TotalRequest): Promise<Total> {
    const rows = request.target === undefined ? await this.#rows(request) : undefined;
    if (!rows) return this.#engine.total(request);
    const total: Measures = noMeasures();
    for (const row of rows) addMeasures(total, row);
    return { ...total, keys: rows.filter(({ key }) => key !== null).length };
  }

  /** Returns all keys of the range, or `undefined` if the engine is to run the query. */
  async #rows({ site, summary, spans }: Pick<KeysRequest, 'site' | 'summary' | 'spans'>) {
    const months = spans.find(({ period }) => period === 'month');
    if (!months || months.to - months.from < LONG || summary === COVERAGE.name) return undefined;
    // The last month may be the current one.
    const closed: Span = { ...months, to: months.to - MONTH };
    const rows = await this.#read(site, summary, closed);
    if (!rows) return undefined;
    const left = spans.map((span) => (span === months ? { ...months, from: closed.to + 1 } : span));
    const open = await this.#engine.keys({ site, summary, spans: left, ...ALL });
    if (open.count > MOST_KEYS) return undefined;
    const keys = new Map<string | null, KeyRow>();
    for (const row of rows) keys.set(row.key, { ...row });
    for (const row of open.rows) addTo(keys, row);
    return [...keys.values()];
  }

  async #read(site: string, summary: string, months: Span): Promise<readonly KeyRow[] | undefined> {
    const spans = [months];
    const { keys: _, ...sums } = await this.#engine.total({
      site,
      summary: COVERAGE.name,
      spans,
      target: undefined,
    });
    if (sums.hits === 0) return undefined;
    const stored = JSON.stringify(sums);
    const name = JSON.stringify([site, summary, months.from, months.to]);
    let closed = this.#closed.get(name);
    if (closed?.stored !== stored) {
      const read = this.#engine.keys({ site, summary, spans, ...ALL });
      closed = { stored, rows: read.then(({ rows, count }) => (count > MOST_KEYS ? undefined : rows)) };
      this.#closed.set(name, closed);
    }
    try {
      return await closed.rows;
    } catch (error) {
      // A failed read is retried.
      this.#closed.set(name, { ...closed, stored: '' });
      throw error;
    }
  }
}

const DAY = 24 * 60 * 60 * 1000;
/**
 * Offset from the end of a month to some time in the previous one, for any length of the month and any DST
 * change. In ms.
 */
const MONTH = 31 * DAY + DAY / 12;
/** Minimum length of a range for which the cache is faster. In ms. */
const LONG = 3 * MONTH;
/** Page with one key more than can be cached, to detect that there are more. */
const ALL = { order: 'hits', search: undefined, limit: MOST_KEYS + 1, offset: 0 } as const;
