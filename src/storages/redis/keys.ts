import type { Period } from '../../summaries/periods.ts';

/** Version of this layout, stored in the key `schema`. */
export const SCHEMA_VERSION = 1;

/** Keys of a series of sums: those of a bucket, and two for the whole series. */
export interface SeriesKeys {
  /**
   * Hash: `hits transfer errors duration` by key. The field for null is the byte 0xff, which no text
   * contains. The field for `OTHERS` is empty.
   */
  sums(date: string): string;
  /** Sorted set of the same keys by negative hits, which is the order of results. */
  tops(date: string): string;
  /** Sorted set of the buckets' dates by their time in ms. */
  buckets: string;
  /** Hash: `keys time` by `date journal`: see `RESERVE`. */
  reserved: string;
  /** Progress of a journal's last batch. */
  guard(journal: string): string;
}

/**
 * Names of all keys. Keys that a script changes together are in one slot of a cluster. Their hash tag, in
 * braces, is the site, summary, period and month. So years and large summaries are distributed over all
 * nodes.
 */
export class Keys {
  readonly #prefix: string;
  readonly schema: string;
  /** Hash: the time zone of each site. */
  readonly sites: string;
  /** Hash: `position ordinal` of each journal. While a batch is stored, its end, its range and its site follow. */
  readonly journals: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.schema = `${prefix}:schema`;
    this.sites = `${prefix}:sites`;
    this.journals = `${prefix}:journals`;
  }

  /** Set of a site's series: `summary:period:month`. */
  series(site: string): string {
    return `${this.#prefix}:series:${site}`;
  }

  /**
   * Returns the keys of a series.
   * @param series Name from `seriesName`.
   */
  of(site: string, series: string): SeriesKeys {
    const tag = this.#tag(site, series);
    return {
      sums: (date) => `${tag}:${date}:sums`,
      tops: (date) => `${tag}:${date}:tops`,
      buckets: `${tag}:buckets`,
      reserved: `${tag}:reserved`,
      guard: (journal) => `${tag}:at:${journal}`,
    };
  }

  /**
   * Returns the keys of a site's records: the stream, a hash with their lateness and the end of those that were
   * trimmed, a copy of the stream that is being made, and the progress of each journal's last batch.
   */
  records(site: string) {
    const stream = this.#tag(site, 'records');
    return {
      stream,
      late: `${stream}:late`,
      copy: `${stream}:copy`,
      guard: (journal: string) => `${stream}:at:${journal}`,
    };
  }

  /** Hash of a site: `time before` by part: see `StoredRetention`. */
  retention(site: string): string {
    return `${this.#prefix}:retention:${site}`;
  }

  /** Hash of a site: batches that change sums, by journal, until they are stored: see `Corrections`. */
  corrections(site: string): string {
    return `${this.#prefix}:corrections:${site}`;
  }

  /** Hash of a site: key of the visitor IDs by day, in hexadecimal digits. */
  visitorKeys(site: string): string {
    return `${this.#prefix}:visitor-keys:${site}`;
  }

  /** Holder of a lease. */
  lease(site: string, task: string): string {
    return `${this.#prefix}:lease:${task}:${site}`;
  }

  /** Builds a hash tag. A brace would end the tag, and a colon a part of it. */
  #tag(site: string, rest: string): string {
    const safe = site.replace(/[%:{}]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
    return `${this.#prefix}:{${safe}:${rest}}`;
  }
}

/** Splits the name of a series. */
export function partsOfSeries(series: string): { summary: string; period: Period; month: string } {
  const [summary, period, month] = series.split(':') as [string, Period, string];
  return { summary, period, month };
}

/**
 * Returns the name of a series.
 * @param month Month that contains the bucket, for example `2026-11`.
 */
export function seriesName(summary: string, period: Period, month: string): string {
  return `${summary}:${period}:${month}`;
}
