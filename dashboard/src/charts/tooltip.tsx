import type { ChartMeasure, Point } from './data.ts';

interface TooltipProps {
  point: Point;
  measure: ChartMeasure;
  /** Where the cursor is, in px of the chart. */
  left: number;
  width: number;
}

/** What a bucket has, and what the one before it had. */
export function Tooltip({ point, measure, left, width }: TooltipProps) {
  const side = left > width / 2 ? { right: `${width - left + 14}px` } : { left: `${left + 14}px` };
  return (
    <div class="tooltip" style={side} aria-hidden="true">
      <p class="tooltip-title">{measure.label}</p>
      <p>
        <span class="now-line" />
        {point.date}
        <strong>{text(point.value, measure)}</strong>
      </p>
      {point.before && (
        <p class="muted">
          <span class="before-line" />
          {point.before.date}
          <strong>{text(point.before.value, measure)}</strong>
        </p>
      )}
    </div>
  );
}

/** The same, to be read aloud. */
export function pointText({ date, value, before }: Point, measure: ChartMeasure): string {
  const then = before ? `; before, ${before.date}: ${text(before.value, measure)}` : '';
  return `${date}: ${text(value, measure)}${then}`;
}

function text(value: number | null, { full, short, id }: ChartMeasure): string {
  if (value === null) return '–';
  return id === 'hits' || id === 'visitors' || id === 'bots' ? full(value) : short(value);
}
