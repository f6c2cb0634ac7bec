import type { Period } from '../../summaries/periods.ts';

/** The version of this layout, kept in the key `schema`. */
export const SCHEMA_VERSION = 1;

/** What a set of sums lies under: one bucket's keys, and the two beside them. */
export interface SeriesKeys {
  /** A hash: `hits transfer errors duration` by key; the field for null is the byte 0xff, which no text holds. */
  sums(date: string): string;
  /** A sorted set of the same keys by hits below zero, so that it lies in the order of answers. */
  tops(date: string): string;
  /** A sorted set of the buckets' dates by their ms. */
  buckets: string;
  /** How much of the last batch of a journal is in. */
  guard(journal: string): string;
}

/**
 * The names of the keys. What a script changes at once stands in one slot of a cluster: its hash tag, in braces, is
 * the site, the summary, the period and the month, so that years and large summaries lie on all nodes.
 */
export class Keys {
  readonly #prefix: string;
  readonly schema: string;
  /** A hash: the time zone of each site. */
  readonly sites: string;
  /** A hash: `position ordinal` of each journal. */
  readonly journals: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.schema = `${prefix}:schema`;
    this.sites = `${prefix}:sites`;
    this.journals = `${prefix}:journals`;
  }

  /** A set of what there is of a site: `summary:period:month`. */
  series(site: string): string {
    return `${this.#prefix}:series:${site}`;
  }

  /** @param series As `seriesName` says. */
  of(site: string, series: string): SeriesKeys {
    const tag = this.#tag(site, series);
    return {
      sums: (date) => `${tag}:${date}:sums`,
      tops: (date) => `${tag}:${date}:tops`,
      buckets: `${tag}:buckets`,
      guard: (journal) => `${tag}:at:${journal}`,
    };
  }

  /** A stream, how late its records may be, and how much of a journal's last batch is in. */
  records(site: string) {
    const stream = this.#tag(site, 'records');
    return { stream, late: `${stream}:late`, guard: (journal: string) => `${stream}:at:${journal}` };
  }

  /** A brace would end the tag, and a colon a part of it. */
  #tag(site: string, rest: string): string {
    const safe = site.replace(/[%:{}]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
    return `${this.#prefix}:{${safe}:${rest}}`;
  }
}

/** @param month The month that holds the bucket, such as `2026-11`. */
export function seriesName(summary: string, period: Period, month: string): string {
  return `${summary}:${period}:${month}`;
}
