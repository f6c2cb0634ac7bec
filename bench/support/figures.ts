/** Returns the median: the middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Formats `median (min–max)`, with each value formatted by `show`. */
export function spread(values: readonly number[], show: (value: number) => string): string {
  if (values.length === 0) return '–';
  if (values.length === 1) return show(values[0]!);
  return `${show(median(values))} (${show(Math.min(...values))}–${show(Math.max(...values))})`;
}

/** Formats a number without decimals, with thousands separators. */
export const integer = (value: number): string => Math.round(value).toLocaleString('en');
export const decimals =
  (digits: number) =>
  (value: number): string =>
    value.toFixed(digits);
/** Formats a difference, with its sign. */
export const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;

/** Returns a Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** Returns a table of the app thread's cost: a row for each variant, a column for each framework. */
export function overview<T>(
  data: Record<string, Record<string, readonly T[]>>,
  costOf: (result: T) => { own: number; bare: number },
  only?: readonly string[],
): string {
  const measured = new Set(Object.values(data).flatMap((results) => Object.keys(results)));
  const variants = [...measured].filter((variant) => only?.includes(variant) ?? true);
  const cell = (list: readonly T[] | undefined, variant: string) => {
    if (!list) return '–';
    const costs = list.map(costOf);
    if (variant === 'bare') return `${median(costs.map(({ own }) => own)).toFixed(1)} total`;
    return signed(median(costs.map(({ own, bare }) => own - bare)));
  };
  return table(
    ['app thread, µs/request', ...Object.keys(data)],
    variants.map((variant) => [
      variant,
      ...Object.values(data).map((results) => cell(results[variant], variant)),
    ]),
  );
}

/** Returns the duration of a call, in ms. */
export async function timed(call: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await call();
  return performance.now() - before;
}
