import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { SeriesResult } from '../api/types.ts';
import { type ChartMeasure, pointsOf } from './data.ts';
import { dataOf, optionsOf, type Shown } from './plot.ts';
import { pointText, Tooltip } from './tooltip.tsx';

interface ChartProps {
  result: SeriesResult;
  measure: ChartMeasure;
  /** Color scheme. The canvas contains the colors, so it is redrawn for another scheme. */
  scheme: string;
  height: number;
}

/** Chart of a measure and its previous period. Arrow keys move between the buckets. */
export function Chart({ result, measure, scheme, height }: ChartProps) {
  const root = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [cursor, setCursor] = useState<{ index: number; left: number } | null>(null);
  const points = useMemo(() => pointsOf(result, measure), [result, measure]);
  const shown = useRef<Shown>({ result, measure, points });
  shown.current = { result, measure, points };
  const last = points.length - 1;
  const hasBefore = result.previous !== null;

  useEffect(() => {
    const element = root.current!;
    const onCursor = (index: number | null, left: number) =>
      setCursor(index === null ? null : { index, left });
    const made = new uPlot(
      optionsOf(element, height, () => shown.current, onCursor),
      dataOf(shown.current),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
      setCursor(null);
    };
  }, [measure.id, measure.label, hasBefore, scheme, height, last < 1]);

  useEffect(() => plot.current?.setData(dataOf({ result, measure, points })), [result, measure, points]);

  const moveTo = (index: number) => {
    const made = plot.current;
    if (!made) return;
    const at = Math.max(0, Math.min(last, index));
    made.setCursor({ left: made.valToPos(at, 'x'), top: made.over.clientHeight / 2 });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const at = cursor?.index ?? last;
    const to: Record<string, number> = {
      ArrowLeft: cursor ? at - 1 : at,
      ArrowRight: cursor ? at + 1 : at,
      PageUp: at - 7,
      PageDown: at + 7,
      Home: 0,
      End: last,
    };
    if (event.key === 'Escape' && cursor) plot.current?.setCursor({ left: -10, top: -10 });
    else if (to[event.key] !== undefined) moveTo(to[event.key]!);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const under = points[cursor?.index ?? last];
  return (
    <div
      class="chart"
      role="slider"
      tabIndex={0}
      aria-label={`${measure.label} over time`}
      aria-valuemin={0}
      aria-valuemax={Math.max(last, 0)}
      aria-valuenow={Math.min(cursor?.index ?? last, last)}
      aria-valuetext={under && pointText(under, measure)}
      style={{ height: `${height}px` }}
      onKeyDown={onKeyDown}
      onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
    >
      <div ref={root} class="plot" />
      {cursor && points[cursor.index] && (
        <Tooltip
          point={points[cursor.index]!}
          measure={measure}
          left={cursor.left}
          width={root.current!.clientWidth}
        />
      )}
    </div>
  );
}
