import { compact, integer } from '../formats/numbers.ts';

/** Data of an SVG bar chart. Classes of the page define its colors. Texts must be escaped. */
export interface Chart {
  title: string;
  description: string;
  bars: Bar[];
  /** Values of the previous period, in order, shown as a line over the bars. */
  before: number[];
}

export interface Bar {
  /** Label below the axis. */
  short: string;
  /** Tooltip. */
  long: string;
  value: number;
  /** Bottom part of the bar, in another color. */
  bad: number;
  /** True if its time has not ended. */
  isOpen: boolean;
}

const WIDTH = 720;
const HEIGHT = 220;
const TOP = 10;
const BOTTOM = 24;
const RIGHT = 10;
/** Width of a digit on the axis, in px. */
const DIGIT = 6.4;
const MAX_LABELS = 12;
const TICKS = 4;

export function barChart({ title, description, bars, before }: Chart): string {
  const ticks = ticksUpTo(Math.max(1, ...bars.map(({ value }) => value), ...before.slice(0, bars.length)));
  const max = ticks.at(-1)!;
  const labels = ticks.map((tick) => compact(tick));
  const left = Math.ceil(Math.max(...labels.map(({ length }) => length)) * DIGIT) + 8;
  const step = (WIDTH - left - RIGHT) / Math.max(1, bars.length);
  const width = Math.max(1, Math.min(step * 0.74, 44));
  const y = (value: number) => round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / max));
  const x = (index: number) => left + step * (index + 0.5);
  const bottom = y(0);
  const every = Math.ceil(bars.length / MAX_LABELS);
  const grid = ticks.map(
    (tick, index) =>
      `<line class="${index === 0 ? 'axis' : 'grid'}" x1="${left}" x2="${WIDTH - RIGHT}" y1="${y(tick)}" y2="${y(tick)}"/>` +
      `<text class="tick" x="${left - 6}" y="${round(y(tick) + 3.5)}" text-anchor="end">${labels[index]}</text>`,
  );
  const columns = bars.map(({ short, long, value, bad, isOpen }, index) => {
    const from = round(x(index) - width / 2);
    const rect = (kind: string, top: number, end: number) =>
      `<rect class="${kind}" x="${from}" y="${round(top)}" width="${round(width)}" height="${round(end - top)}"/>`;
    // Nonzero values are visible, however small they are.
    const seen = (part: number) => Math.min(y(part), bottom - 1);
    const label =
      index % every === 0
        ? `<text class="tick${index % (2 * every) === 0 ? '' : ' spare'}" x="${round(x(index))}" y="${HEIGHT - 7}" text-anchor="middle">${short}</text>`
        : '';
    const bar =
      (value > 0 ? rect(isOpen ? 'bar open' : 'bar', seen(value), bottom) : '') +
      (bad > 0 ? rect('bad', seen(bad), bottom) : '');
    const errors = bad > 0 ? `, errors: ${integer(bad)}` : '';
    return (
      `<g><title>${long}: ${integer(value)}${errors}</title>` +
      `<rect class="room" x="${round(x(index) - step / 2)}" y="${TOP}" width="${round(step)}" height="${round(bottom - TOP)}"/>` +
      `${bar}</g>${label}`
    );
  });
  const points = before.slice(0, bars.length).map((value, index) => `${round(x(index))},${y(value)}`);
  // Drawn twice: the first is an outline that separates it from the bars.
  const line = (kind: string) =>
    points.length > 1 ? `<polyline class="${kind}" points="${points.join(' ')}"/>` : '';
  return [
    `<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="chart-title chart-desc">`,
    `<title id="chart-title">${title}</title>`,
    `<desc id="chart-desc">${description}</desc>`,
    ...grid,
    ...columns,
    line('before-edge'),
    line('before'),
    '</svg>',
  ].join('\n');
}

/** Returns ticks from 0 in round steps, up to the first that is at least `max`. Ticks are integers. */
function ticksUpTo(max: number): number[] {
  const rough = max / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 2.5, 5, 10].find((each) => each * power >= rough)!;
  const step = Math.max(1, Math.ceil(factor * power));
  return Array.from({ length: Math.ceil(max / step) + 1 }, (_, index) => index * step);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
