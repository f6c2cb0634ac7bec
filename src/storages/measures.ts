import type { Measures } from './contract.ts';

/** The names of what is added up: in records of sums, in columns, and in answers. */
export const MEASURES = [
  'hits',
  'transfer',
  'errors',
  'duration',
] as const satisfies readonly (keyof Measures)[];

export function noMeasures(): Measures {
  return { hits: 0, transfer: 0, errors: 0, duration: 0 };
}

/** The measures alone of what has more. */
export function onlyMeasures({ hits, transfer, errors, duration }: Measures): Measures {
  return { hits, transfer, errors, duration };
}

export function addMeasures(to: Measures, { hits, transfer, errors, duration }: Measures): void {
  to.hits += hits;
  to.transfer += transfer;
  to.errors += errors;
  to.duration += duration;
}

/**
 * Measures as an engine's driver gives them: numbers, large ones as text, or as objects of its own. Those that pass 2^53
 * are rounded; sums over nothing are 0.
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
