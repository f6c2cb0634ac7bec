import { show, TrackUsageError } from '../errors.ts';
import type { Range } from './contract.ts';

/**
 * Creates the error for an invalid cursor. Cursors come from clients, also over HTTP, and may be anything. So
 * each storage validates them before they reach its engine.
 */
export function invalidCursor(after: string): TrackUsageError {
  return new TrackUsageError('QUERY_INVALID', {
    name: 'after',
    value: show(after),
    expected: 'the "next" of the previous page of the same storage',
  });
}

/** Returns the groups of a pattern that a cursor matches as a whole. Throws for any other. */
export function cursorParts(after: string, pattern: RegExp): string[] {
  const found = pattern.exec(after);
  if (!found) throw invalidCursor(after);
  return found.slice(1);
}

/** Returns the whole numbers that a cursor consists of, each within its range. Throws for any other. */
export function cursorNumbers(after: string, ...ranges: readonly Range[]): number[] {
  const parts = after.split(' ');
  const numbers = parts.map((part) => (/^-?\d{1,16}$/.test(part) ? Number(part) : Number.NaN));
  const fits = ({ from, to }: Range, index: number) => numbers[index]! >= from && numbers[index]! <= to;
  if (parts.length !== ranges.length || !ranges.every(fits)) throw invalidCursor(after);
  return numbers;
}

/** Range of JavaScript dates. In ms since 1970. */
export const ANY_DATE: Range = { from: -8.64e15, to: 8.64e15 };
