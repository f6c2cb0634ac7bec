import { BoundedCache } from '../cache.ts';
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

/** Keys of a summary that are kept; with more of them the engine adds up all months each time. */
const MOST_KEYS = 25_000;
/** Summaries and ranges that are kept at least; twice as many at most. */
const KEPT = 12;

type Reader = Required<Pick<StorageReader, 'keys' | 'total'>>;

/** The keys of months that are over, `undefined` where there are too many. */
interface Closed {
  /** All requests of these months when the keys were read, as JSON. */
  stored: string;
  rows: Promise<readonly KeyRow[] | undefined>;
}

/**
 * Remembers the keys of months that are over: a year of keys is added up once, and then only what is left of the range.
 * What came to such a month later, from a journal that was adopted or a copy, changes the sums of `COVERAGE` in it as well.
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

  /** All keys of the range; `undefined` where the engine is to answer. */
  async #rows({ site, summary, spans }: Pick<KeysRequest, 'site' | 'summary' | 'spans'>) {
    const months = spans.find(({ period }) => period === 'month');
    if (!months || months.to - months.from < LONG || summary === COVERAGE.name) return undefined;
    // The last one may be this month.
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
      // What failed is tried again.
      this.#closed.set(name, { ...closed, stored: '' });
      throw error;
    }
  }
}

const DAY = 24 * 60 * 60 * 1000;
/** From the end of a month back into the one before, whatever their lengths and the clock's changes. In ms. */
const MONTH = 31 * DAY + DAY / 12;
/** Of fewer months nothing is gained. */
const LONG = 3 * MONTH;
/** As many as may be kept, and one, which says that there are more. */
const ALL = { order: 'hits', search: undefined, limit: MOST_KEYS + 1, offset: 0 } as const;
