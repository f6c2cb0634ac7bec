import { createHash } from 'node:crypto';

/**
 * Name of the lease for everything that changes stored sums, because a rebuild must not restore the keys of a person
 * that is being deleted.
 */
export const MAINTENANCE_TASK = 'rebuild';

/**
 * Returns the ID of the journal with the changes of one run of maintenance. Run 0 is the journal whose position is the
 * number of the last run.
 */
export function maintenanceJournal(site: string, run: number): string {
  return createHash('sha256')
    .update(JSON.stringify(['maintenance', site, run]))
    .digest('hex')
    .slice(0, 32);
}
