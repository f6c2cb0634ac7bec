import { integer } from '../../../src/formats/numbers.ts';

/** Formats of numbers, the same as in reports and on the command line. */
export { bytes, compact, duration, integer, percent } from '../../../src/formats/numbers.ts';

/** Describes the number of remaining keys. */
export function othersText(count: number): string {
  return `${integer(count)} ${count === 1 ? 'other' : 'others'}`;
}
