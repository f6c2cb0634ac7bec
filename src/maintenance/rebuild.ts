import { invalid } from '../query/invalid.ts';
import { storedTimeZone } from '../query/stored-zone.ts';
import { type MaxKeysOptions, maxKeysOf } from '../storage/key-budget.ts';
import { Calendar } from '../summaries/periods.ts';
import { withMaintenance } from './delta-journal.ts';
import { type RebuildResult, rebuildBuckets } from './rebuild-buckets.ts';
import { type ScopeOptions, scopeOf } from './scope.ts';
import { changeTimeZone } from './time-zone.ts';

/** Options of `rebuild`. */
export interface RebuildOptions extends ScopeOptions {
  /** Maximum number of keys per bucket, as in the storage's option. A bucket that has more keys keeps them. */
  maxKeys?: number | MaxKeysOptions | undefined;
  /**
   * True to also rebuild buckets in which all summaries agree with each other, but count more requests than there are
   * records. Their sums are then reduced to the records that are left. Defaults to false.
   */
  force?: boolean | undefined;
  /**
   * New IANA time zone of the site. All its sums are then rebuilt from the records, so `from` and `to` must be omitted.
   * Stop all apps of the site first. Defaults to the stored zone.
   */
  timeZone?: string | undefined;
}

/**
 * Corrects summaries to match the stored records, and adds the requests that were stored before a summary
 * existed. Apps may continue to store records, except while the time zone is changed. Run it again after an
 * interruption.
 */
export async function rebuild(options: RebuildOptions): Promise<RebuildResult> {
  const { storage, site = 'default', timeZone, from, to, onProgress, force = false } = options;
  const bucketOptions = { maxKeys: maxKeysOf(options.maxKeys), force, onProgress };
  if (timeZone !== undefined) {
    // Throws for an unknown zone.
    new Calendar(timeZone);
    for (const [name, value] of Object.entries({ from, to })) {
      if (value !== undefined)
        throw invalid(name, value, 'none, because a change of the time zone affects all buckets');
    }
    const stored = await storedTimeZone(storage, site);
    if (stored !== timeZone) return changeTimeZone({ ...options, ...bucketOptions, site, stored, timeZone });
  }
  const scope = await scopeOf(options);
  return withMaintenance(storage, scope.site, scope.zone.timeZone, (session) =>
    rebuildBuckets(scope, session, bucketOptions),
  );
}
