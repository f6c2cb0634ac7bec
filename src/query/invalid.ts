import { show, TrackUsageError } from '../errors.ts';

/** What is said of an option of a question that is not what it may be. */
export function invalid(name: string, value: unknown, expected: string): TrackUsageError {
  return new TrackUsageError('QUERY_INVALID', { name, value: show(value), expected });
}
