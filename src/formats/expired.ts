import type { Expired } from '../query/query-types.ts';

const PARTS = { records: 'Requests', hour: 'Hours', day: 'Days', month: 'Months' } as const;

/** Describes expired data in a sentence. */
export function expiredText({ part, before, answeredFrom }: Expired): string {
  const gone = `${PARTS[part]} before ${before.slice(0, 10)} are no longer stored`;
  return answeredFrom === null
    ? `${gone} and not included.`
    : `${gone}, so the numbers are those of whole ${answeredFrom}s.`;
}
