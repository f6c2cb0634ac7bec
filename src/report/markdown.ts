import { changeOf } from '../formats/change.ts';
import { gapText } from '../formats/coverage.ts';
import { MEASURE_LABELS } from '../formats/labels.ts';
import { bytes, integer } from '../formats/numbers.ts';
import type { TopResult } from '../query/query.ts';
import type { Measures } from '../storage/contract.ts';
import { escapeText } from '../text/escape.ts';
import {
  averageTime,
  bucketLabel,
  changeText,
  chartTitle,
  comparison,
  emptyText,
  headingOf,
  type KeyText,
  keyText,
  limitText,
  notes,
  othersText,
  percentOf,
  rangeText,
  statsOf,
  timeText,
  titleOf,
} from './labels.ts';
import type { Imprint, Report } from './report.ts';
import { type RouteTable, routeTables } from './routes.ts';

/** Returns Markdown with GitHub tables, for an email or an issue. */
export function markdownReport(report: Report, imprint: Imprint): string {
  const { site, totals } = report;
  const empty = emptyText(report);
  const compared = comparison(report);
  const limit = limitText(report);
  const parts = [
    `# Usage of ${code(escapeText(titleOf(report)))}`,
    `**${rangeText(totals.range)}**${limit === undefined ? '' : `, ${limit}`}, time zone ${code(escapeText(site.timeZone))}`,
    ...(empty === undefined ? [] : [`> ${plain(empty)}`]),
    table(
      ['', 'Value', 'Previous period', MEASURE_LABELS.change, ''],
      '-rrr-',
      statsOf(report).map(({ label, value, before, change, detail }) => [
        label,
        value,
        before ?? '',
        change === undefined ? '' : changeText(change),
        detail ?? '',
      ]),
    ),
    ...(compared === undefined ? [] : [compared]),
    `## ${chartTitle(report)}`,
    days(report),
    ...routeTables(report).flatMap((each) => [`## ${each.title}`, each.note, routes(each)]),
    ...report.top.flatMap((answer) => [
      `## ${plain(headingOf(answer.summary).title)}`,
      top(answer),
      ...answer.coverage.gaps.map((gap) => `*${plain(gapText(gap))}*`),
    ]),
    '## About these numbers',
    notes(report, imprint)
      .map((note) => `- ${plain(note)}`)
      .join('\n'),
  ];
  return `${parts.join('\n\n')}\n`;
}

function days(report: Report): string {
  const { buckets, period } = report.series;
  const most = Math.max(1, ...buckets.map(({ hits }) => hits));
  return table(
    [
      `${period[0]!.toUpperCase()}${period.slice(1)}`,
      MEASURE_LABELS.hits,
      MEASURE_LABELS.errors,
      MEASURE_LABELS.transfer,
      MEASURE_LABELS.average,
      '',
    ],
    '-rrrr-',
    buckets.map((bucket) => [
      bucketLabel(report, bucket),
      integer(bucket.hits),
      integer(bucket.errors),
      bytes(bucket.transfer),
      timeText(averageTime(bucket)),
      bar(bucket.hits / most),
    ]),
  );
}

function routes({ columns, rows }: RouteTable): string {
  const headings = [headingOf('routes').key, ...columns.map(({ label }) => label)];
  const lines = rows.map(({ key, cells }) => [keyCode(key), ...cells]);
  return table(headings, `-${'r'.repeat(columns.length)}`, lines);
}

function keyCode({ text, name = '' }: KeyText): string {
  return text === undefined ? `*${name}*` : `${code(text)}${name === '' ? '' : ` ${plain(name)}`}`;
}

function top(answer: TopResult): string {
  const { summary, rows, total, others, count } = answer;
  if (rows.length === 0) return 'No hits in this range.';
  const isCompared = rows.some(({ previous }) => (previous?.hits ?? 0) > 0);
  const line = (head: string, row: Measures, before: Measures | null) => [
    head,
    integer(row.hits),
    percentOf(row.hits, total.hits),
    bytes(row.transfer),
    ...(isCompared ? [before === null ? '' : changeText(changeOf(row.hits, before.hits))] : []),
  ];
  const lines = rows.map((row) => {
    return line(keyCode(keyText(summary, row.key)), row, row.previous);
  });
  if (count > rows.length) lines.push(line(`*${othersText(answer)}*`, others, null));
  const headings = [
    headingOf(summary).key,
    MEASURE_LABELS.hits,
    MEASURE_LABELS.share,
    MEASURE_LABELS.transfer,
    ...(isCompared ? [MEASURE_LABELS.change] : []),
  ];
  return table(headings, '-rrrr'.slice(0, headings.length), lines);
}

/**
 * Returns a table.
 * @param alignment A letter for each column; `r` aligns it to the right.
 */
function table(headings: readonly string[], alignment: string, rows: readonly string[][]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = [...alignment].map((side) => (side === 'r' ? '--:' : '---'));
  return [line(headings), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

/**
 * Formats text as code, in which Markdown has no links or mentions. `escapeText` doubles backslashes, so none
 * escapes the `|` that a table escapes.
 */
function code(text: string): string {
  const runs = text.match(/`+/g) ?? [];
  const fence = '`'.repeat(Math.max(0, ...runs.map(({ length }) => length)) + 1);
  // Markdown removes one space if there are spaces at both ends.
  const room = /^`|`$|^ .*[^ ].* $/s.test(text) ? ' ' : '';
  return `${fence}${room}${text}${room}${fence}`;
}

/** Escapes our own text, which may contain a name chosen by a user. */
function plain(text: string): string {
  return text.replace(/[\\`*_{}[\]()<>#|~&@!]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Returns a bar of up to ten characters. */
function bar(share: number): string {
  const eighths = Math.round(share * 80);
  const rest = ' ▏▎▍▌▋▊▉'[eighths % 8]!;
  return `${'█'.repeat(Math.floor(eighths / 8))}${rest === ' ' ? '' : rest}`;
}
