/**
 * Start of the ID of a daily visitor: see the option `visitors`. IDs of cookies have only hexadecimal digits. The IDs of
 * a person differ from day to day, so the number of IDs in a range is the sum of its days.
 */
export const DAILY_VISITOR = 'd:';

/** Returns whether an ID is that of a daily visitor. */
export function isDailyVisitor(id: string): boolean {
  return id.startsWith(DAILY_VISITOR);
}
