import { useMemo, useRef, useState } from 'preact/hooks';
import type { SeriesResult } from '../api/types.ts';
import type { View } from '../state/view.ts';
import { type ChartMeasure, type Point, pointsOf, ticksOf, tickText } from './data.ts';
import { axisOf, barsPath, splitAtNow, stepsPath } from './scale.ts';
import { pointText, Tooltip } from './tooltip.tsx';

interface ChartProps {
  result: SeriesResult;
  measure: ChartMeasure;
  /** Range of the view, whose end is drawn even if it is in the future. */
  range: View['range'];
  /** In px. */
  height: number;
}

/**
 * Chart of a measure and its previous period. Arrow keys move between the buckets. It is an SVG without a size of its
 * own, so that it fits any width, also on paper, and follows the colors of the page.
 */
export function Chart({ result, measure, range, height }: ChartProps) {
  const plot = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const points = useMemo(() => pointsOf(result, measure, range), [result, measure, range]);
  const count = Math.max(1, points.length);
  const last = points.findLastIndex(({ isUpcoming }) => !isUpcoming);
  const at = cursor === null ? null : Math.min(cursor, last);

  const moveTo = (index: number) => setCursor(Math.max(0, Math.min(last, index)));
  const onPointer = (event: PointerEvent) => {
    const { left, width } = plot.current!.getBoundingClientRect();
    const index = Math.floor(((event.clientX - left) / width) * count);
    setCursor(index < 0 || index > last ? null : index);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const from = at ?? last;
    const to: Record<string, number> = {
      ArrowLeft: at === null ? from : from - 1,
      ArrowRight: at === null ? from : from + 1,
      PageUp: from - 7,
      PageDown: from + 7,
      Home: 0,
      End: last,
    };
    if (event.key === 'Escape' && at !== null) setCursor(null);
    else if (to[event.key] !== undefined) moveTo(to[event.key]!);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const under = points[at ?? last];
  return (
    <div
      class="chart"
      role="slider"
      tabIndex={0}
      aria-label={`${measure.label} over time`}
      aria-valuemin={0}
      aria-valuemax={Math.max(last, 0)}
      aria-valuenow={Math.max(at ?? last, 0)}
      aria-valuetext={under && pointText(under, measure)}
      style={{ height: `${height}px` }}
      onKeyDown={onKeyDown}
      onBlur={() => setCursor(null)}
    >
      <div
        ref={plot}
        class="plot"
        onPointerMove={onPointer}
        onPointerDown={onPointer}
        onPointerLeave={() => setCursor(null)}
      >
        <Plot points={points} measure={measure} cursor={at} />
        {at !== null && points[at] && (
          <Tooltip point={points[at]} measure={measure} position={(at + 0.5) / count} />
        )}
      </div>
      <div class="x-labels" aria-hidden="true">
        {ticksOf(points, result.period).map((index, order, all) => (
          <span
            key={index}
            class={(all.length - order) % 2 === 0 ? 'spare' : undefined}
            style={{ left: `${((index + 0.5) / count) * 100}%` }}
          >
            {tickText(points, index, result.period)}
          </span>
        ))}
      </div>
    </div>
  );
}

interface PlotProps {
  points: readonly Point[];
  measure: ChartMeasure;
  cursor: number | null;
}

function Plot({ points, measure, cursor }: PlotProps) {
  const before = points.map((point) => point.before?.value);
  const known = [...points.map(({ value }) => value), ...before];
  const axis = axisOf(Math.max(0, ...known.map((value) => value ?? 0)), measure.unit);
  const most = axis.at(-1)!;
  const { over, underWay } = splitAtNow(points);
  const shape = measure.isMean ? stepsPath : barsPath;
  const kind = measure.isMean ? 'line' : 'bars';
  const beforeLine = stepsPath(before, most);
  return (
    <>
      {axis.map((value) => (
        <span key={value} class="y-label" aria-hidden="true" style={{ bottom: `${(value / most) * 100}%` }}>
          {measure.short(value)}
        </span>
      ))}
      <svg
        viewBox={`0 0 ${Math.max(1, points.length)} 1`}
        preserveAspectRatio="none"
        aria-hidden="true"
        focusable="false"
      >
        {cursor !== null && <rect class="cursor" x={cursor} y={0} width={1} height={1} />}
        <path class={kind} d={shape(over, most)} />
        <path class={`${kind} under-way`} d={shape(underWay, most)} />
        {beforeLine !== '' && (
          <>
            <path class="before-edge" d={beforeLine} />
            <path class="before" d={beforeLine} />
          </>
        )}
      </svg>
    </>
  );
}
