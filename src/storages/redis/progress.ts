import type { Batch, Range } from '../../storage/contract.ts';
import { ANY_DATE } from '../../storage/cursor.ts';
import { MAINTENANCE_TASK, maintenanceJournal } from '../../storage/maintenance-journal.ts';
import type { Calendar } from '../../summaries/periods.ts';
import { run, type Server } from './client.ts';
import type { Keys } from './keys.ts';
import { JOURNALS } from './scripts.ts';

/** Returns the range of a batch, for the journal's entry while the batch is stored. */
export function rangeOf({ records, deltas }: Batch, calendar: Calendar): Range {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  // The sums of a batch with records are those of its records.
  for (let i = 0; i < records.length; i++) {
    from = Math.min(from, records.date[i]!);
    to = Math.max(to, records.date[i]!);
  }
  if (records.length === 0) {
    for (const { period, bucket } of deltas) {
      from = Math.min(from, bucket);
      to = Math.max(to, Math.min(calendar.next(period, bucket) - 1, ANY_DATE.to));
    }
  }
  // A batch may be empty.
  return from > to ? { from: 0, to: -1 } : { from: Math.floor(from), to: Math.floor(to) };
}

/**
 * Returns the entries of the journals, without that of maintenance that was killed: its batch is not completed before
 * the next run.
 */
export async function entriesOf(server: Server, keys: Keys, site: string): Promise<string[]> {
  const found = ((await run(server, JOURNALS, [keys.journals], [])) as unknown[]).map(String);
  const entries = new Map<string, string>();
  for (let n = 0; n < found.length; n += 2) entries.set(found[n]!, found[n + 1]!);
  const runs = entries.get(maintenanceJournal(site, 0));
  const journal = runs === undefined ? undefined : maintenanceJournal(site, Number(runs.split(' ')[0]));
  if (journal !== undefined && PROGRESS.test(entries.get(journal) ?? '')) {
    const lease = keys.lease(site, MAINTENANCE_TASK);
    if (Number(await server.send(lease, ['EXISTS', lease])) === 0) entries.delete(journal);
  }
  return [...entries.values()];
}

/** Entry of a journal with a batch in progress: its end, its range and its site follow the position. */
const PROGRESS = /^\d+ \d+ \d+ (-?\d+) (-?\d+) (.*)$/s;

/** Returns whether a journal's entry contains a batch in progress that may change data of a site in a range. */
export function isInProgress(entry: string, site: string, { from, to }: Range): boolean {
  const [, first, last, of] = PROGRESS.exec(entry) ?? [];
  return of === site && Number(first) <= to && Number(last) >= from;
}
