import { changeOf } from '../formats/change.ts';
import { gapText } from '../formats/coverage.ts';
import { MEASURE_LABELS } from '../formats/labels.ts';
import { bytes, integer } from '../formats/numbers.ts';
import type { Bucket, TopResult } from '../query/query.ts';
import type { Measures } from '../storage/contract.ts';
import { escapeText } from '../text/escape.ts';
import { type Bar, barChart } from './chart.ts';
import { html } from './escape-html.ts';
import {
  averageTime,
  bucketLabel,
  bucketText,
  changeText,
  chartDescription,
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
  type Stat,
  statsOf,
  timeText,
  titleOf,
} from './labels.ts';
import type { Imprint, Report } from './report.ts';
import { type RouteTable, routeTables } from './routes.ts';
import { STYLE } from './style.ts';

/** Content security policy. Loads and executes nothing, whatever a key contains. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** Returns a self-contained page, including its style and charts. */
export function htmlReport(report: Report, imprint: Imprint): string {
  const { site, totals } = report;
  const name = html(escapeText(titleOf(report)));
  const range = html(rangeText(totals.range));
  const compared = comparison(report);
  const empty = emptyText(report);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${html(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>${name}: usage in ${range}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="kicker">Usage report</p>
<h1><bdi>${name}</bdi></h1>
<p>${[range, limitText(report)].filter((text) => text !== undefined).join(' · ')} <span class="soft">· time zone ${html(escapeText(site.timeZone))}</span></p>
</header>
<main>
${empty === undefined ? '' : `<p class="empty">${html(empty)}</p>\n`}${stats(statsOf(report))}
${compared === undefined ? '' : `<p class="soft" style="margin-top:.6rem">${html(compared)}</p>\n`}${chart(report)}
<div class="tops wide">
${routeTables(report).map(routeSection).join('\n')}
${topSections(report, true)}
</div>
<div class="tops narrow">
${topSections(report, false)}
</div>
<section class="notes">
<h2>About these numbers</h2>
<ul>
${notes(report, imprint)
  .map((note) => `<li>${html(note)}</li>`)
  .join('\n')}
</ul>
</section>
${daysSection(report)}
</main>
</body>
</html>
`;
}

function stats(all: readonly Stat[]): string {
  const tiles = all.map(({ label, value, detail, before, change, isBad }) => {
    const changed =
      change && before !== undefined
        ? change.direction === 'same'
          ? `<dd>no change</dd>`
          : `<dd><span class="${toneOf(change.direction, isBad)}">${arrowOf(change.direction)} ${html(change.text)}</span> from ${html(before)}</dd>`
        : '';
    return `<div><dt>${html(label)}</dt><dd class="value">${html(value)}</dd>${changed}${
      detail === undefined ? '' : `<dd>${html(detail)}</dd>`
    }</div>`;
  });
  return `<dl class="stats of${all.length}">\n${tiles.join('\n')}\n</dl>`;
}

/** Returns the tone of a change. An increase counts as good or bad only if that is certain. */
function toneOf(direction: 'up' | 'down', isBad: boolean): string {
  if (!isBad) return 'change';
  return direction === 'up' ? 'worse' : 'better';
}

function arrowOf(direction: 'up' | 'down'): string {
  const [arrow, word] = direction === 'up' ? ['▲', 'up'] : ['▼', 'down'];
  return `<span role="img" aria-label="${word}">${arrow}</span>`;
}

function chart(report: Report): string {
  if (report.totals.totals.hits === 0) return '';
  const { buckets, period, previous } = report.series;
  const hasErrors = buckets.some(({ errors }) => errors > 0);
  const before = report.totals.previous?.totals.hits ? (previous?.buckets ?? []) : [];
  const bars = buckets.map((bucket, index): Bar => {
    const { short } = bucketText(period, bucket.date);
    const isOpen = report.isUnfinished && index === buckets.length - 1;
    const long = html(bucketLabel(report, bucket));
    return { short: html(short), long, value: bucket.hits, bad: bucket.errors, isOpen };
  });
  const svg = barChart({
    title: html(chartTitle(report)),
    description: html(chartDescription(report)),
    bars,
    before: before.map(({ hits }) => hits),
  });
  const sample = (shape: string, text: string) =>
    `<span><svg class="chart" viewBox="0 0 22 10" aria-hidden="true">${shape}</svg>${text}</span>`;
  const legend = [
    sample('<rect class="bar" x="0" y="0" width="22" height="10"/>', MEASURE_LABELS.hits),
    ...(hasErrors
      ? [sample('<rect class="bad" x="0" y="0" width="22" height="10"/>', MEASURE_LABELS.errors)]
      : []),
    ...(before.length > 1 ? [sample('<polyline class="before" points="0,5 22,5"/>', 'Previous period')] : []),
  ];
  return `<figure>
<h2>${html(chartTitle(report))}</h2>
${svg}
<figcaption class="legend">${legend.join('')}<a href="#numbers" style="color:inherit">Show as table</a></figcaption>
</figure>`;
}

function routeSection({ title, note, columns, rows }: RouteTable): string {
  const last = columns.length - 1;
  const kind = (index: number) =>
    `${index === last ? 'share' : 'number'}${columns[index]!.isMinor ? ' minor' : ''}`;
  const headings = columns.map(
    ({ label, isMinor }) => `<th scope="col" class="number${isMinor ? ' minor' : ''}">${label}</th>`,
  );
  const lines = rows.map(({ key, cells, meter: length }) => {
    const texts = cells.map((cell, index) => {
      const text = index === last ? `${meter(length)}<span>${html(cell)}</span>` : html(cell);
      return `<td class="${kind(index)}">${text}</td>`;
    });
    return `<tr><th scope="row" class="key">${keyHtml(key)}</th>${texts.join('')}</tr>`;
  });
  return `<section>
<h2>${title}</h2>
<p class="soft">${note}</p>
<table>
<thead><tr><th scope="col">${headingOf('routes').key}</th>${headings.join('')}</tr></thead>
<tbody>
${lines.join('\n')}
</tbody>
</table>
</section>`;
}

/** Returns the sections whose keys need the full width, or those arranged in two columns. */
function topSections({ top }: Report, isLong: boolean): string {
  return top
    .filter(({ summary }) => headingOf(summary).isLong === isLong)
    .map(topSection)
    .join('\n');
}

function topSection(answer: TopResult): string {
  const { summary, rows, total, others, count } = answer;
  const { title, key, isLong } = headingOf(summary);
  const open = `<section>\n<h2>${html(title)}</h2>`;
  const gaps = answer.coverage.gaps.map((gap) => `\n<p class="soft">${html(gapText(gap))}</p>`).join('');
  if (rows.length === 0) return `${open}\n<p class="soft">No hits in this range.</p>${gaps}\n</section>`;
  const isCompared = rows.some(({ previous }) => (previous?.hits ?? 0) > 0);
  const line = (kind: string, head: string, row: Measures, before: Measures | null) => {
    const cells = [
      `<td class="number">${integer(row.hits)}</td>`,
      `<td class="share">${meter(row.hits / rows[0]!.hits)}<span>${html(percentOf(row.hits, total.hits))}</span></td>`,
      ...(isLong ? [`<td class="number bytes">${html(bytes(row.transfer))}</td>`] : []),
      ...(isLong && isCompared ? [`<td class="number changes">${changeCell(row, before)}</td>`] : []),
    ];
    return `<tr${kind}><th scope="row" class="key">${head}</th>${cells.join('')}</tr>`;
  };
  const lines = rows.map((row) => line('', keyHtml(keyText(summary, row.key)), row, row.previous));
  if (count > rows.length) lines.push(line(' class="others"', html(othersText(answer)), others, null));
  const headings = [
    `<th scope="col">${html(key)}</th>`,
    `<th scope="col" class="number">${MEASURE_LABELS.hits}</th>`,
    `<th scope="col" class="number">${MEASURE_LABELS.share}</th>`,
    ...(isLong ? [`<th scope="col" class="number bytes">${MEASURE_LABELS.transfer}</th>`] : []),
    ...(isLong && isCompared ? [`<th scope="col" class="number changes">${MEASURE_LABELS.change}</th>`] : []),
  ];
  return `${open}
<table>
<thead><tr>${headings.join('')}</tr></thead>
<tbody>
${lines.join('\n')}
</tbody>
</table>${gaps}
</section>`;
}

function keyHtml({ text, name }: KeyText): string {
  if (text === undefined) return `<span class="none">${html(name ?? '')}</span>`;
  const shown = `<bdi>${html(text)}</bdi>`;
  return name === undefined ? shown : `${shown} <span class="soft">${html(name)}</span>`;
}

function changeCell(row: Measures, before: Measures | null): string {
  return before === null ? '' : html(changeText(changeOf(row.hits, before.hits)));
}

/** @param share Length in relation to the first row. The other keys together may have more. */
function meter(share: number): string {
  const percent = Number.isFinite(share) ? Math.min(100, 100 * share) : 0;
  return `<span class="meter" aria-hidden="true"><i style="width:${percent.toFixed(1)}%"></i></span>`;
}

function orDash(value: number | null): string {
  return value === null ? '–' : integer(value);
}

function daysSection(report: Report): string {
  const { buckets, period } = report.series;
  const shows = (of: (bucket: Bucket) => number | null) => buckets.some((bucket) => of(bucket) !== null);
  const columns: [heading: string, text: (bucket: Bucket) => string][] = [
    [MEASURE_LABELS.hits, ({ hits }) => integer(hits)],
  ];
  if (shows(({ visitors }) => visitors))
    columns.push([MEASURE_LABELS.visitors, ({ visitors }) => orDash(visitors)]);
  if (shows(({ bots }) => bots)) columns.push([MEASURE_LABELS.bots, ({ bots }) => orDash(bots)]);
  columns.push(
    [MEASURE_LABELS.errors, ({ errors }) => integer(errors)],
    [MEASURE_LABELS.transfer, ({ transfer }) => bytes(transfer)],
    [MEASURE_LABELS.average, (bucket) => timeText(averageTime(bucket))],
  );
  const heading = `${period[0]!.toUpperCase()}${period.slice(1)}`;
  return `<section class="days" id="numbers">
<h2>${heading} by ${period}</h2>
<div class="scroll" tabindex="0" role="region" aria-label="${heading} by ${period}">
<table>
<thead><tr><th scope="col">${heading}</th>${columns.map(([text]) => `<th scope="col" class="number">${text}</th>`).join('')}</tr></thead>
<tbody>
${buckets
  .map((bucket) => {
    const cells = columns.map(([, text]) => `<td class="number">${html(text(bucket))}</td>`).join('');
    return `<tr><th scope="row">${html(bucketLabel(report, bucket))}</th>${cells}</tr>`;
  })
  .join('\n')}
</tbody>
</table>
</div>
</section>`;
}
