import type { CompleteReader } from '../storage/complete-reader.ts';
import type { Condition } from '../storage/contract.ts';
import { noMeasures, onlyMeasures } from '../storage/measures.ts';
import type { Calendar } from '../summaries/periods.ts';
import { botsCondition } from './conditions.ts';
import { orElse } from './or-else.ts';
import type { Bots, MinuteBucket } from './query-types.ts';

const MINUTE = 60_000;
/** Number of minutes by default, and at most. More would be a chart that hours show better. */
export const DEFAULT_MINUTES = 60;
export const MAX_MINUTES = 180;

/** Selects the requests of the last minutes. */
export interface MinutesRequest {
  site: string;
  zone: Calendar;
  where: readonly Condition[];
  bots: Bots;
  /** Number of minutes, including the current one. */
  minutes: number;
  /** Current time, in ms since 1970. */
  now: number;
}

/** Counts the requests of each of the last minutes from the records, which are read by date. */
export async function lastMinutes(
  reader: CompleteReader,
  { site, zone, where, bots, minutes, now }: MinutesRequest,
): Promise<MinuteBucket[]> {
  const current = Math.floor(now / MINUTE) * MINUTE;
  const starts = Array.from({ length: minutes }, (_, n) => current - (minutes - 1 - n) * MINUTE);
  const end = current + MINUTE;
  const rows = await orElse(
    reader.matchingSeries({
      ...{ site, from: starts[0]!, to: end - 1, where: [...where, ...botsCondition(bots)] },
      bounds: [...starts, end],
    }),
    [],
  );
  const found = new Map(rows.map((row) => [row.bucket, row]));
  return starts.map((start) => ({
    date: zone.format(start),
    ...onlyMeasures(found.get(start) ?? noMeasures()),
  }));
}
