import { stripVTControlCharacters, styleText } from 'node:util';
import {
  type Sum,
  type Summary,
  sumGeo,
  sumLanguages,
  sumServer,
  sumUrls,
  sumVisitors,
  type TrackUsage,
} from 'track-usage';

const REDRAW = 1_000;
/** Interval of printing where the table cannot be redrawn, if there are new hits. In ms. */
const APPEND = 10_000;
const ROWS = 12;
/** Widths of the columns of numbers. */
const CELLS: readonly number[] = [8, 11, 8, 20];

/** Prints today's counts about once per second, until the returned function is called. */
export function showLive(usage: TrackUsage, origin: string, lastProblem: () => string): () => void {
  const out = process.stdout;
  let drawn = 0;
  let hitsBefore = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const tick = async (): Promise<void> => {
    const day = await today(usage).catch((error: Error) => error);
    if (stopped) return;
    const hits = day instanceof Error ? 0 : day.hits;
    let pause = out.isTTY ? REDRAW : APPEND;
    // One column less than the terminal has, because some wrap a line that fills it.
    const width = (out.columns || 80) - 1;
    if (out.isTTY) {
      const lines = render(day, usage, origin, lastProblem(), width);
      const fitting = lines.slice(0, Math.max(1, (out.rows || 24) - 1));
      // Moves up to the start of the last table, and clears everything below.
      out.write(`${drawn > 0 ? `\x1b[${drawn}A` : ''}\x1b[J${fitting.join('\n')}\n`);
      drawn = fitting.length;
    } else if (hits !== hitsBefore) {
      out.write(`\n${render(day, usage, origin, lastProblem(), width).join('\n')}\n`);
    } else {
      pause = REDRAW;
    }
    hitsBefore = hits;
    timer = setTimeout(tick, pause);
  };
  void tick();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

interface Day {
  urls: Sum[];
  hits: number;
  bytes: number;
  visitors: number;
  countries: number;
  languages: number;
}

/** Reads today's counts. Days begin at midnight UTC, because the shop sets no time zone. */
async function today(usage: TrackUsage): Promise<Day> {
  const from = new Date().setUTCHours(0, 0, 0, 0);
  const topKeys = (summary: Summary, limit: number) => usage.getSum(summary, { period: 'day', from, limit });
  const known = async (summary: Summary) =>
    (await topKeys(summary, 0)).filter(({ key }) => key !== null).length;
  const [urls, [whole], visitors, countries, languages] = await Promise.all([
    topKeys(sumUrls, ROWS),
    topKeys(sumServer, 1),
    known(sumVisitors),
    known(sumGeo),
    known(sumLanguages),
  ]);
  return { urls, hits: whole?.hits ?? 0, bytes: whole?.transfer ?? 0, visitors, countries, languages };
}

function render(
  day: Day | Error,
  usage: TrackUsage,
  origin: string,
  problem: string,
  width: number,
): string[] {
  if (day instanceof Error) return [style('red', printable(day.message).slice(0, width))];
  const urlWidth = Math.max(12, width - CELLS.reduce((sum, cell) => sum + cell));
  const row = (url: string, ...cells: string[]) =>
    url.padEnd(urlWidth) + cells.map((cell, index) => cell.padStart(CELLS[index]!)).join('');
  const lines = [style('bold', row('Today, by URL', 'Hits', 'Transfer', 'Errors', 'Avg. response time'))];
  for (const { key, hits, transfer, errors, duration } of day.urls) {
    const url = printable(key?.startsWith(`${origin}/`) ? key.slice(origin.length) : (key ?? '(none)'));
    const line = row(
      shorten(url, urlWidth),
      count(hits),
      kilobytes(transfer),
      count(errors),
      ms(duration / hits),
    );
    lines.push(errors > 0 ? style('red', line) : line);
  }
  const [storage] = usage.status().storages;
  const lag = storage && storage.lag.records > 0 ? `${storage.lag.seconds.toFixed(1)} s` : 'none';
  const totals = [
    `${count(day.hits)} hits`,
    kilobytes(day.bytes),
    `${count(day.visitors)} visitors`,
    `${count(day.countries)} countries`,
    `${count(day.languages)} languages`,
    `lag ${lag}`,
  ];
  lines.push('', style('green', totals.join(' · ').slice(0, width)));
  if (problem !== '') lines.push(style('yellow', printable(problem).slice(0, width)));
  return lines;
}

/** Escapes a URL, because clients could use it to move the cursor. */
function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{C}/gu, '�');
}

function shorten(text: string, width: number): string {
  return text.length < width ? text : `${text.slice(0, width - 2)}… `;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function kilobytes(bytes: number): string {
  return `${count(Math.round(bytes / 1000))} kB`;
}

function ms(microseconds: number): string {
  return `${(microseconds / 1000).toFixed(1)} ms`;
}

/** Applies colors only on a terminal, and respects `NO_COLOR`. */
function style(format: Parameters<typeof styleText>[0], text: string): string {
  return styleText(format, text, { stream: process.stdout });
}
