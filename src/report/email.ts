import { changeOf } from '../formats/change.ts';
import { MEASURE_LABELS } from '../formats/labels.ts';
import { integer } from '../formats/numbers.ts';
import type { TopResult } from '../query/query.ts';
import { escapeText } from '../text/escape.ts';
import { html } from './escape-html.ts';
import {
  bucketLabel,
  bucketText,
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
  titleOf,
} from './labels.ts';
import type { Imprint, Report } from './report.ts';
import { type RouteTable, routeTables } from './routes.ts';

/** Mail programs clip a message beyond about 100 kB. Leaves room for the rest of the message. */
const MAX_BYTES = 95_000;
const CHART_HEIGHT = 90;
const INK = '#1b2430';
const SOFT = '#5a6675';
const LINE = '1px solid #dfe4ea';
const CELL = `padding:4px 0 4px 12px;border-bottom:${LINE};text-align:right;white-space:nowrap;vertical-align:top`;
const KEY = `padding:4px 0;border-bottom:${LINE};text-align:left;font-weight:400;word-break:break-word;vertical-align:top`;
const TABLE =
  '<table role="table" width="100%" cellpadding="0" cellspacing="0" style="border-collapse:collapse;font-size:13px">';
const H2 = '<h2 style="margin:28px 0 6px;font-size:16px;line-height:1.3">';

/**
 * Returns a page for the body of an email: tables and inline styles only, which mail programs keep, and below 100 kB.
 * Summaries beyond that are left out, which a note says.
 */
export function emailReport(report: Report, imprint: Imprint): string {
  const title = html(escapeText(titleOf(report)));
  const range = html(rangeText(report.totals.range));
  const limit = limitText(report);
  const empty = emptyText(report);
  const compared = comparison(report);
  const head = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>${title}: usage in ${range}</title>
</head>
<body style="margin:0;background:#fff;color:${INK};font:14px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif">
<main style="display:block;max-width:640px;margin:0 auto;padding:24px 16px">
<h1 style="margin:0;font-size:24px;line-height:1.2;word-break:break-word"><bdi>${title}</bdi></h1>
<p style="margin:4px 0 16px;color:${SOFT}">${range}${limit === undefined ? '' : ` · ${limit}`} · time zone ${html(escapeText(report.site.timeZone))}</p>
${empty === undefined ? '' : `<p style="margin:0 0 16px;padding:10px 14px;border-left:4px solid #c2410c;background:#f5f7f9">${html(empty)}</p>\n`}`;
  const sections = [
    stats(report, compared),
    ...(report.totals.totals.hits === 0 ? [] : [chart(report)]),
    ...routeTables(report).map(routes),
    ...report.top.filter(({ rows }) => rows.length > 0).map(top),
  ];
  const end = (left: number) => {
    const all = [
      ...(left === 0 ? [] : [`${left} more summaries are in the report without --email.`]),
      ...notes(report, imprint),
    ];
    return `${H2}About these numbers</h2>
<ul style="margin:0;padding-left:18px;color:${SOFT};font-size:12px">
${all.map((note) => `<li>${html(note)}</li>`).join('\n')}
</ul>
</main>
</body>
</html>
`;
  };
  let text = head;
  let left = sections.length;
  const room = MAX_BYTES - Buffer.byteLength(end(left));
  for (const section of sections) {
    if (Buffer.byteLength(text) + Buffer.byteLength(section) > room) break;
    text += `${section}\n`;
    left -= 1;
  }
  return text + end(left);
}

function stats(report: Report, compared: string | undefined): string {
  const rows = statsOf(report).map(({ label, value, before, change, detail }) => {
    const changed = change === undefined ? '' : changeText(change);
    const more = detail === undefined ? '' : ` <span style="color:${SOFT}">${html(detail)}</span>`;
    return `<tr><th scope="row" style="${KEY}">${html(label)}${more}</th><td style="${CELL};font-weight:600">${html(value)}</td><td style="${CELL};color:${SOFT}">${html(before ?? '')}</td><td style="${CELL}">${html(changed)}</td></tr>`;
  });
  const note =
    compared === undefined
      ? ''
      : `<p style="margin:6px 0 0;color:${SOFT};font-size:12px">${html(compared)}</p>`;
  return `${TABLE}${head('', ['Value', 'Previous period', MEASURE_LABELS.change])}${rows.join('')}</table>${note}`;
}

/** Mail programs show no SVG, so the bars are cells of a table. Their numbers are in the titles, and in the text above. */
function chart(report: Report): string {
  const { buckets, period } = report.series;
  const most = Math.max(1, ...buckets.map(({ hits }) => hits));
  const last = buckets.length - 1;
  const bars = buckets.map((bucket, index) => {
    const height = bucket.hits === 0 ? 0 : Math.max(1, Math.round((CHART_HEIGHT * bucket.hits) / most));
    const color = report.isUnfinished && index === last ? '#a9c4e2' : '#2f6fb2';
    const title = `${bucketLabel(report, bucket)}: ${integer(bucket.hits)}`;
    return `<td title="${html(title)}" style="padding:0 1px;vertical-align:bottom"><div style="height:${height}px;background:${color}"></div></td>`;
  });
  const first = buckets[0]!;
  const ends = [bucketText(period, first.date).short, bucketText(period, buckets[last]!.date).short];
  const open = report.isUnfinished ? ' (so far)' : '';
  return `${H2}${html(chartTitle(report))}</h2>
<table role="img" aria-label="${html(chartTitle(report))}, at most ${integer(most)}" width="100%" cellpadding="0" cellspacing="0" style="table-layout:fixed;border-bottom:1px solid ${SOFT}"><tr style="height:${CHART_HEIGHT}px">${bars.join('')}</tr></table>
<p style="margin:2px 0 0;color:${SOFT};font-size:12px">${html(ends[0]!)} to ${html(ends[1]!)}${open}, at most ${integer(most)}</p>`;
}

function routes({ title, note, columns, rows }: RouteTable): string {
  // Not all mail programs can hide columns on a phone.
  const isShown = (_: unknown, index: number) => !columns[index]!.isMinor;
  const lines = rows.map(({ key, cells, meter }) => line(key, cells.filter(isShown), meter));
  const headings = columns.filter(isShown).map(({ label }) => label);
  return `${H2}${title}</h2>
<p style="margin:0 0 6px;color:${SOFT};font-size:12px">${note}</p>
${TABLE}${head(headingOf('routes').key, headings)}${lines.join('')}</table>`;
}

function top(answer: TopResult): string {
  const { summary, rows, total, others, count } = answer;
  const { title, key } = headingOf(summary);
  const isCompared = rows.some(({ previous }) => (previous?.hits ?? 0) > 0);
  const lines = rows.map((row) => {
    const change = row.previous === null ? '' : changeText(changeOf(row.hits, row.previous.hits));
    const cells = [integer(row.hits), percentOf(row.hits, total.hits), ...(isCompared ? [change] : [])];
    return line(keyText(summary, row.key), cells, row.hits / rows[0]!.hits);
  });
  if (count > rows.length) {
    const rest = [integer(others.hits), percentOf(others.hits, total.hits), ...(isCompared ? [''] : [])];
    lines.push(line({ text: undefined, name: othersText(answer) }, rest, 0));
  }
  const headings = [
    MEASURE_LABELS.hits,
    MEASURE_LABELS.share,
    ...(isCompared ? [MEASURE_LABELS.change] : []),
  ];
  return `${H2}${html(title)}</h2>\n${TABLE}${head(key, headings)}${lines.join('')}</table>`;
}

function head(key: string, headings: readonly string[]): string {
  const style = (of: string) => `style="${of};color:${SOFT};font-size:12px;font-weight:600"`;
  const cells = headings.map((heading) => `<th scope="col" ${style(CELL)}>${html(heading)}</th>`);
  const first =
    key === ''
      ? `<td style="border-bottom:${LINE}"></td>`
      : `<th scope="col" ${style(KEY)}>${html(key)}</th>`;
  return `<tr>${first}${cells.join('')}</tr>`;
}

/** @param meter Length of the bar below the key, from 0 to 1. */
function line({ text, name }: KeyText, cells: readonly string[], meter: number): string {
  const named = name === undefined ? '' : `<span style="color:${SOFT}">${html(name)}</span>`;
  const key = text === undefined ? named : `<bdi>${html(text)}</bdi> ${named}`;
  const width = Number.isFinite(meter) ? Math.min(100, Math.round(100 * meter)) : 0;
  const bar = width === 0 ? '' : `<div style="width:${width}%;height:3px;background:#9dbde0"></div>`;
  const numbers = cells.map((cell) => `<td style="${CELL}">${html(cell)}</td>`);
  return `<tr><th scope="row" width="60%" style="${KEY}">${key}${bar}</th>${numbers.join('')}</tr>`;
}
