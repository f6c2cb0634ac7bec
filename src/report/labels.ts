import { STATUS_CODES } from 'node:http';
import { type Change, changeOf, SAME } from '../formats/change.ts';
import { gapText } from '../formats/coverage.ts';
import { expiredText } from '../formats/expired.ts';
import { BUDGET_NOTE, MEASURE_LABELS, NO_KEY, OVER_BUDGET, SUMMARY_LABELS } from '../formats/labels.ts';
import { bytes, duration, integer, percent, quantity } from '../formats/numbers.ts';
import type { Bots, Bucket, RangeResult, ResolvedRange, TopResult, Totals } from '../query/query.ts';
import type { Measures } from '../storage/contract.ts';
import { OTHERS } from '../summaries/coverage.ts';
import type { Period } from '../summaries/periods.ts';
import { STANDARD_SUMMARIES } from '../summaries/standard.ts';
import { escapeText } from '../text/escape.ts';
import type { Imprint, Report } from './report.ts';

/** Texts of a report, shared by all formats. Only the keys are escaped. */

/** Summaries with long keys, which need the full width. */
const LONG_KEYS = ['urls', 'user-agents', 'referrers', 'routes'];
/** Maximum number of characters shown of a key. */
const MAX_KEY_LENGTH = 160;
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const regions = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
const languages = new Intl.DisplayNames('en', { type: 'language', fallback: 'none' });

const BOTS_NOTES: Readonly<Record<Bots, string>> = {
  include: 'Hits include bots.',
  exclude: 'Only the hits of people are counted.',
  only: 'Only the hits of bots are counted.',
};

const COOKIE_VISITORS_NOTE =
  'Visitors are distinct cookies in the whole range: a visitor who returns on another day counts once. A client without cookies counts as a new visitor with each request, so the number is an upper bound.';
const DAILY_VISITORS_NOTE =
  'Visitors are the sum of daily visitors: a visitor who returns on another day counts again, because a visitor ID is valid for one day.';

/**
 * Returns the title of a report: the name of the site or, if it has none, the host of most requests among the most
 * frequent URLs.
 */
export function titleOf({ site, top }: Report): string {
  if (site.site !== 'default') return site.site;
  const hits = new Map<string, number>();
  for (const row of top.find(({ summary }) => summary === 'urls')?.rows ?? []) {
    const host = row.key === null || !URL.canParse(row.key) ? '' : new URL(row.key).host;
    if (host !== '') hits.set(host, (hits.get(host) ?? 0) + row.hits);
  }
  const [most] = [...hits].sort(([, a], [, b]) => b - a);
  return most?.[0] ?? site.site;
}

/** Returns the label of a bucket of the series, with a mark if it has not ended. */
export function bucketLabel({ series, isUnfinished }: Report, bucket: Bucket): string {
  const { long } = bucketText(series.period, bucket.date);
  return isUnfinished && bucket === series.buckets.at(-1) ? `${long} (so far)` : long;
}

export interface Heading {
  title: string;
  key: string;
  isLong: boolean;
}

export function headingOf(summary: string): Heading {
  const { title, key } = SUMMARY_LABELS.get(summary) ?? { title: escapeText(summary), key: 'Key' };
  return { title, key, isLong: LONG_KEYS.includes(summary) || !SUMMARY_LABELS.has(summary) };
}

/** Readable form of a key. `name` is its meaning, if known. */
export interface KeyText {
  /**
   * Text with dangerous characters escaped, truncated if it is too long. `undefined` for requests without a
   * key.
   */
  text: string | undefined;
  name: string | undefined;
}

export function keyText(summary: string, key: string | null): KeyText {
  if (key === null) return { text: undefined, name: SUMMARY_LABELS.get(summary)?.none ?? NO_KEY };
  if (key === OTHERS) return { text: undefined, name: OVER_BUDGET };
  const text = escapeText(key);
  return { text: text.length > MAX_KEY_LENGTH ? `${cut(text)}…` : text, name: nameOf(summary, key) };
}

/** Truncates a text without splitting a character. */
function cut(text: string): string {
  return text.slice(0, MAX_KEY_LENGTH).replace(/[\ud800-\udbff]$/, '');
}

function nameOf(summary: string, key: string): string | undefined {
  if (summary === 'status' && /^\d{3}$/.test(key)) return STATUS_CODES[key];
  // Only valid codes: `Intl` throws for all others.
  if (summary === 'geo' && /^[A-Z]{2}$/.test(key)) return regions.of(key);
  if (summary === 'languages' && /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i.test(key)) {
    try {
      return languages.of(key);
    } catch {
      return undefined;
    }
  }
  return undefined;
}

/** Formats a change with its sign: `+12.5%`, `×14`, `new`, `0%`. */
export function changeText({ direction, text }: Change): string {
  if (direction === 'same' || !/^[<\d]/.test(text)) return text;
  return `${direction === 'up' ? '+' : '−'}${text}`;
}

/** Formats a part of a total as a percentage. The total may be 0. */
export function percentOf(part: number, of: number): string {
  return percent(of === 0 ? 0 : part / of);
}

/** One of the totals. */
export interface Stat {
  label: string;
  value: string;
  /** Additional information about it. */
  detail: string | undefined;
  /** Number in the previous period, if there was one. */
  before: string | undefined;
  change: Change | undefined;
  /** True if an increase is bad. */
  isBad: boolean;
}

export function statsOf({ bots, totals: { totals, previous, dailyVisitors } }: Report): Stat[] {
  const before = previous && previous.totals.hits > 0 ? previous.totals : undefined;
  const stat = (
    label: string,
    measure: (of: Totals) => number | null,
    show: (value: number) => string,
    detail?: string,
    isBad = false,
  ): Stat[] => {
    const value = measure(totals);
    if (value === null) return [];
    const earlier = before && measure(before);
    const isKnown = earlier !== undefined && earlier !== null;
    return [
      {
        label,
        value: show(value),
        detail,
        before: isKnown ? show(earlier) : undefined,
        change: isKnown ? (show(value) === show(earlier) ? SAME : changeOf(value, earlier)) : undefined,
        isBad,
      },
    ];
  };
  const share = (part: number | null) => `${percentOf(part ?? 0, totals.hits)} of hits`;
  return [
    ...stat(MEASURE_LABELS.hits, ({ hits }) => hits, integer),
    ...stat(
      MEASURE_LABELS.visitors,
      ({ visitors }) => (bots === 'only' ? null : visitors),
      integer,
      // Of no visitors, nobody knows of which kind they are.
      totals.visitors === 0 ? undefined : dailyVisitors ? 'sum of daily visitors' : 'distinct cookies',
    ),
    ...stat(
      MEASURE_LABELS.transfer,
      ({ transfer }) => transfer,
      bytes,
      `${bytes(average(totals.transfer, totals))} per hit`,
    ),
    ...stat(MEASURE_LABELS.average, averageTime, timeText, undefined, true),
    ...stat(MEASURE_LABELS.errors, ({ errors }) => errors, integer, share(totals.errors), true),
    // If only people or only bots count, their number is 0 or that of all hits.
    ...(bots === 'include' ? stat(MEASURE_LABELS.bots, (of) => of.bots, integer, share(totals.bots)) : []),
  ];
}

/** Formats an average duration; a dash without any requests. */
export function timeText(us: number): string {
  return us === 0 ? '–' : duration(us);
}

/** Average duration in µs. */
export function averageTime(of: Measures): number {
  return average(of.duration, of);
}

function average(value: number, { hits }: Measures): number {
  return hits === 0 ? 0 : value / hits;
}

/** Returns the label of the remaining keys: `12 others`. */
export function othersText({ count, rows }: TopResult): string {
  return quantity(count - rows.length, 'other');
}

/** Formats a range: `October 2026`, `1 to 15 October 2026`, `24 November 2026, 10:00 to 21:59`. */
export function rangeText({ from, to }: ResolvedRange): string {
  const [first, last] = [dateOf(from), dateOf(to)];
  if (first.time !== '00:00' || !last.time.startsWith('23:')) {
    const end = last.time.replace(/:\d\d$/, ':59');
    if (first.text === last.text) return `${first.text}, ${first.time} to ${end}`;
    const begin = first.time === '00:00' ? first.text : `${first.text}, ${first.time}`;
    return `${begin} to ${last.text}, ${end}`;
  }
  if (first.text === last.text) return first.text;
  const isMonths = first.day === 1 && last.day === new Date(Date.UTC(last.year, last.month, 0)).getUTCDate();
  if (first.year !== last.year) {
    return isMonths ? `${first.monthText} to ${last.monthText}` : `${first.text} to ${last.text}`;
  }
  const [month, until] = [MONTHS[first.month - 1]!, MONTHS[last.month - 1]!];
  if (first.month === last.month) return isMonths ? last.monthText : `${first.day} to ${last.text}`;
  return isMonths ? `${month} to ${until} ${last.year}` : `${first.day} ${month} to ${last.text}`;
}

/** Formats the start of a bucket, for a chart and for a table. */
export function bucketText(period: Period, date: string): { short: string; long: string } {
  const { day, month, text, monthText, time, offset } = dateOf(date);
  const short = MONTHS[month - 1]!.slice(0, 3);
  if (period === 'month') return { short, long: monthText };
  if (period === 'day') return { short: `${day} ${short}`, long: text };
  return { short: time, long: `${text}, ${time} ${offset}` };
}

/** Parses a date with the site's offset. */
function dateOf(date: string) {
  const [, y = '', m = '', d = '', time = '', offset = ''] =
    /^(\d+)-(\d\d)-(\d\d)T(\d\d:\d\d).*([+-]\d\d:\d\d)$/.exec(date) ?? [];
  const [year, month, day] = [Number(y), Number(m), Number(d)];
  const monthText = `${MONTHS[month - 1]} ${year}`;
  return { year, month, day, time, offset, monthText, text: `${day} ${monthText}` };
}

/** Returns the title of the chart. */
export function chartTitle({ series }: Report): string {
  return `${MEASURE_LABELS.hits} by ${series.period}`;
}

/** Returns the requests that a report counts, if it is not all. */
export function limitText({ bots }: Report): string | undefined {
  return { include: undefined, exclude: 'people only', only: 'bots only' }[bots];
}

export function chartDescription(report: Report): string {
  const { buckets } = report.series;
  const most = buckets.reduce<Bucket | undefined>(
    (found, bucket) => (found && found.hits >= bucket.hits ? found : bucket),
    undefined,
  );
  if (!most || most.hits === 0) return 'No hits.';
  // A bucket that has not ended is no minimum.
  const ended = report.isUnfinished && buckets.length > 1 ? buckets.slice(0, -1) : buckets;
  const least = ended.reduce((found, bucket) => (bucket.hits < found.hits ? bucket : found));
  const describe = (bucket: Bucket) => `${bucketLabel(report, bucket)} with ${integer(bucket.hits)}`;
  return `Maximum: ${describe(most)}. Minimum: ${describe(least)}. A table below lists all numbers.`;
}

/** Describes the expired data of the results, each once. */
function expiredIn(results: readonly RangeResult[]): string[] {
  return [...new Set(results.flatMap(({ expired }) => expired.map((each) => expiredText(each))))];
}

/** Returns notes needed to interpret the numbers, each a sentence or two. */
export function notes(
  { site, bots, totals, series, top, unlisted }: Report,
  { now, version }: Imprint,
): string[] {
  const kept = new Set(site.summaries.map(({ name }) => name));
  const missing = STANDARD_SUMMARIES.filter(({ name }) => !kept.has(name)).map(({ title }) => title);
  return [
    'Counted by the server: every request that the app answered, once. No script runs in the browser, and nothing is estimated or sampled.',
    `Days and months are in the time zone ${escapeText(site.timeZone)}.`,
    `${MEASURE_LABELS.transfer} is the size of response bodies. ${MEASURE_LABELS.errors} are responses with a status of 500 or more. ${MEASURE_LABELS.average} is measured from the arrival of a request to the write that completed its response.`,
    ...(totals.totals.visitors === null || totals.totals.visitors === 0
      ? []
      : [totals.dailyVisitors ? DAILY_VISITORS_NOTE : COOKIE_VISITORS_NOTE]),
    `${BOTS_NOTES[bots]} A bot is a client whose user agent identifies it as one.`,
    ...(site.summaries.some(({ custom }) => custom)
      ? [
          'A custom summary can assign several keys to a request, so its rows may add up to more than all hits.',
        ]
      : []),
    ...totals.coverage.gaps.map(gapText),
    ...expiredIn([totals, series, ...top]),
    ...(top.some(({ budget }) => budget.reached) ? [BUDGET_NOTE] : []),
    ...(totals.budget.reached
      ? ['The number of visitors is a lower bound, because the key budget was reached.']
      : []),
    ...(unlisted.length === 0
      ? []
      : [
          `Not listed: ${unlisted.map((name) => headingOf(name).title.toLowerCase()).join(' and ')}. The option --full lists them.`,
        ]),
    ...(missing.length === 0
      ? []
      : [
          `Not stored: ${missing.join(', ')}. To store a summary from now on, add it to the hooks of the storage.`,
        ]),
    `Created on ${new Date(now).toISOString().slice(0, 16).replace('T', ' at ')} UTC by track-usage ${version}.`,
  ];
}

/** Explains why there is no data. Returns `undefined` if there is some. */
export function emptyText({ site, totals }: Report): string | undefined {
  if (totals.totals.hits > 0) return undefined;
  const name = `"${escapeText(site.site)}"`;
  if (site.summaries.length === 0) {
    return `No data for the site ${name}: check the storage and the name of the site.`;
  }
  return `No hits of the site ${name} in this range.`;
}

/** Returns the period of the comparison, or `undefined` if there is none. */
export function comparison({ totals }: Report): string | undefined {
  const { previous } = totals;
  if (!previous) return undefined;
  const range = rangeText(previous.range);
  return previous.totals.hits > 0
    ? `Compared with ${range}.`
    : `No comparison: no hits in the previous period, ${range}.`;
}
