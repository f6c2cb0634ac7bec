import type { ChartMeasure, Point } from './data.ts';

interface TooltipProps {
  point: Point;
  measure: ChartMeasure;
  /** Center of the bucket in the chart, from 0 to 1. */
  position: number;
}

/** Values of a bucket and of the corresponding previous one. */
export function Tooltip({ point, measure, position }: TooltipProps) {
  const side =
    position > 0.5
      ? { right: `calc(${(1 - position) * 100}% + 14px)` }
      : { left: `calc(${position * 100}% + 14px)` };
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

function text(value: number | null, { full, short, unit }: ChartMeasure): string {
  if (value === null) return '–';
  return unit === 'count' ? full(value) : short(value);
}
