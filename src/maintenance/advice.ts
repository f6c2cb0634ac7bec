import type { ClockJump } from '../storage/prune-plan.ts';
import { PARTS, type Part } from '../storage/retention.ts';
import type { StorageReport } from './storage-report.ts';

const DAY = 24 * 3_600_000;
/** Time after which expired data should have been deleted, in ms. */
const PRUNE_DELAY = 2 * DAY;
/** Size of a storage above which advice about its growth is given, in bytes. */
const LARGE = 1e9;
/** Share of free space above which returning it to the file system is worthwhile. */
const MUCH_FREE = 0.5;

const NAMES: Readonly<Record<Part, string>> = {
  records: 'Records',
  hour: 'Hours of summaries',
  day: 'Days of summaries',
  month: 'Months of summaries',
};

/**
 * Returns advice on each problem.
 * @param horizons Start of the kept data of each part, according to the stored retention.
 * @param jump Set if the clock is far ahead of the last pruning.
 * @param hidden Parts whose kept data starts in the future, because of a wrong clock.
 */
export function adviceOf(
  { retention, growth, size, budgets, journals = [], rejects = [] }: Omit<StorageReport, 'advice'>,
  horizons: Partial<Record<Part, number>>,
  jump: ClockJump | undefined,
  hidden: readonly Part[],
): string[] {
  const advice: string[] = [];
  if (Object.keys(retention).length === 0) {
    advice.push(
      'No app has stored a retention yet, so nothing is deleted: an app stores it one minute after it starts. To delete old data now, run track-usage prune --before DATE.',
    );
  }
  const isJump = jump !== undefined && Object.keys(horizons).length > 0;
  if (isJump) {
    advice.push(
      `The clock is ${Math.floor((jump.now - jump.last) / DAY)} days ahead of the last deletion or record. If it is right, the app deletes expired data in small steps, and the rest once it has run for 24 hours; to delete it now, run track-usage prune --trust-clock. If the clock is wrong, set it.`,
    );
  }
  for (const part of hidden) {
    advice.push(
      `${NAMES[part]} are hidden, because a process with a wrong clock has deleted them up to a future date. To make new ones visible, start the app or run track-usage prune.`,
    );
  }
  for (const part of PARTS) {
    const [horizon, before = null] = [horizons[part], retention[part]?.before];
    if (horizon !== undefined && horizon - (before ?? 0) > PRUNE_DELAY && !isJump) {
      advice.push(
        `${NAMES[part]} that have expired were not deleted: start the app, which deletes them, or run track-usage prune.`,
      );
    }
  }
  const { keep = 'forever' } = retention.records ?? {};
  if (keep === 'forever' && (growth.bytesInYear ?? 0) > LARGE) {
    advice.push(
      'Records are kept forever: set the storage option retention, for example { records: "90d" }.',
    );
  }
  if (size.total !== null && size.free !== null && size.total > LARGE && size.free > MUCH_FREE * size.total) {
    advice.push(
      'Most of the database is free space: to return it to the file system, run VACUUM or its equivalent in your database.',
    );
  }
  for (const summary of new Set(budgets.map((budget) => budget.summary))) {
    advice.push(
      `The key budget of ${summary} was reached: totals are exact, but additional keys are counted together as "(over key budget)". If they are not from an attack, raise the storage option maxKeys.`,
    );
  }
  for (const { path, state, pendingBytes } of journals) {
    if (pendingBytes === 0) continue;
    if (state !== 'running') {
      advice.push(`Records in the journal ${path} are not stored yet: start the app, which stores them.`);
    }
  }
  for (const { path } of rejects) {
    advice.push(`The storage rejected records: inspect ${path}, then delete the file.`);
  }
  return advice;
}
