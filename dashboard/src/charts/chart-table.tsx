import type { SeriesResult } from '../api/types.ts';
import { type ChartMeasure, hasValues, pointsOf } from './data.ts';

/** Table of the chart's data, newest first. */
export function ChartTable({ result, measure }: { result: SeriesResult; measure: ChartMeasure }) {
  const points = pointsOf(result, measure).reverse();
  const isCompared = hasValues(result.previous?.buckets);
  const show = (value: number | null | undefined) => (value == null ? '–' : measure.full(value));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: makes the table scrollable with the keyboard
    <section class="scroll chart-table" tabIndex={0} aria-label={`Table of ${measure.label}`}>
      <table>
        <caption class="hidden">{measure.label} over time</caption>
        <thead>
          <tr>
            <th scope="col">Date</th>
            <th scope="col" class="number">
              {measure.label}
            </th>
            {isCompared && (
              <>
                <th scope="col">Previous date</th>
                <th scope="col" class="number">
                  {measure.label}, previous period
                </th>
              </>
            )}
          </tr>
        </thead>
        <tbody>
          {points.map(({ start, date, value, before }) => (
            <tr key={start}>
              <th scope="row">{date}</th>
              <td class="number">{show(value)}</td>
              {isCompared && (
                <>
                  <td>{before?.date ?? '–'}</td>
                  <td class="number">{show(before?.value)}</td>
                </>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
