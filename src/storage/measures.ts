import type { Measures } from './contract.ts';

/** Names of the measures in sums, columns and results. */
export const MEASURES = [
  'hits',
  'transfer',
  'errors',
  'duration',
] as const satisfies readonly (keyof Measures)[];

/** Returns measures that are all 0, to add to. */
export function noMeasures(): Measures {
  return { hits: 0, transfer: 0, errors: 0, duration: 0 };
}

/** Returns only the measures of an object. */
export function onlyMeasures({ hits, transfer, errors, duration }: Measures): Measures {
  return { hits, transfer, errors, duration };
}

/**
 * Adds measures to those of `to`, in place.
 * @param to Sums to change.
 * @param measures Measures to add.
 */
export function addMeasures(to: Measures, { hits, transfer, errors, duration }: Measures): void {
  to.hits += hits;
  to.transfer += transfer;
  to.errors += errors;
  to.duration += duration;
}

/** Returns the sum of all rows. */
export function sumOf(rows: Iterable<Measures>): Measures {
  const sum = noMeasures();
  for (const row of rows) addMeasures(sum, row);
  return sum;
}

/** Returns `a` minus `b`. */
export function minus(a: Measures, b: Measures): Measures {
  return {
    hits: a.hits - b.hits,
    transfer: a.transfer - b.transfer,
    errors: a.errors - b.errors,
    duration: a.duration - b.duration,
  };
}

/** Returns whether all measures are equal. */
export function isEqual(a: Measures, b: Measures): boolean {
  return MEASURES.every((measure) => a[measure] === b[measure]);
}

/**
 * Converts measures from an engine's driver: numbers, large ones as text, or driver objects. Values above
 * 2^53 are rounded, and sums over no rows are 0.
 */
export function measuresOf({
  hits,
  transfer,
  errors,
  duration,
}: Readonly<Record<string, unknown>>): Measures {
  return {
    hits: Number(hits ?? 0),
    transfer: Number(transfer ?? 0),
    errors: Number(errors ?? 0),
    duration: Number(duration ?? 0),
  };
}
