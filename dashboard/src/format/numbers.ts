import { quantity } from '../../../src/formats/numbers.ts';

/** Formats of numbers, the same as in reports and on the command line. */
export { bytes, compact, duration, integer, percent, quantity } from '../../../src/formats/numbers.ts';

/** Describes the number of remaining keys. */
export function othersText(count: number): string {
  return quantity(count, 'other');
}
