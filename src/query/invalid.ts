import { show, TrackUsageError } from '../errors.ts';

/** Creates the error for an invalid option of a query. */
export function invalid(name: string, value: unknown, expected: string): TrackUsageError {
  return new TrackUsageError('QUERY_INVALID', { name, value: show(value), expected });
}
