import type { ChartMeasure, Point } from './data.ts';

interface TooltipProps {
  point: Point;
  measure: ChartMeasure;
  /** Position of the cursor in the chart, in px. */
  left: number;
  width: number;
}

/** Values of a bucket and of the corresponding previous one. */
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

/** Returns the same values as text for screen readers. */
export function pointText({ date, value, before }: Point, measure: ChartMeasure): string {
  const then = before ? `; previous period, ${before.date}: ${text(before.value, measure)}` : '';
  return `${date}: ${text(value, measure)}${then}`;
}

function text(value: number | null, { full, short, id }: ChartMeasure): string {
  if (value === null) return '–';
  return id === 'hits' || id === 'visitors' || id === 'bots' ? full(value) : short(value);
}
