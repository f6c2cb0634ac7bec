import type { Expired } from '../query/query-types.ts';

const PARTS = { records: 'Requests', hour: 'Hours', day: 'Days', month: 'Months' } as const;

function dateOf(date: string): string {
  return date.slice(0, '2026-11-25'.length);
}

/** Describes expired data in a sentence. */
export function expiredText({ part, before, answeredFrom }: Expired, showDate = dateOf): string {
  const gone = `${PARTS[part]} before ${showDate(before)} are no longer stored`;
  return answeredFrom === null
    ? `${gone} and not included.`
    : `${gone}, so the numbers are for whole ${answeredFrom}s.`;
}
