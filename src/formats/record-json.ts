import type { UsageRecord } from '../record.ts';
import type { Calendar } from '../summaries/periods.ts';

/** A record in JSON output. */
export interface RecordJson extends Omit<UsageRecord, 'date'> {
  /** Arrival of the request, to the millisecond, with the site's offset: `2026-11-25T10:00:00.123+01:00`. */
  date: string;
}

/** Returns the record with its date as text: one format for the dates of all JSON output. */
export function recordJson(record: UsageRecord, zone: Calendar): RecordJson {
  return { ...record, date: zone.format(record.date) };
}
