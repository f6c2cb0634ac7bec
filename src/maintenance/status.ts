import { wallClock } from '../platform/clock.ts';
import type { Storage } from '../query/storage.ts';
import { storedTimeZone } from '../query/stored-zone.ts';
import { storedSummaries } from '../query/sums-and-records.ts';
import { VISITORS, VisitorCounter } from '../query/visitors.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { PartSize, StorageSize } from '../storage/contract.ts';
import { ANY_DATE } from '../storage/cursor.ts';
import { correctedStarts, jumpOf } from '../storage/prune-plan.ts';
import { horizonsOf, keepTimesOf, PARTS, type Part, type StoredRetention } from '../storage/retention.ts';
import { COVERAGE, OTHERS } from '../summaries/coverage.ts';
import { type Calendar, calendar, PERIODS, type Period, targetOf } from '../summaries/periods.ts';
import { adviceOf } from './advice.ts';
import { openMaintenance } from './delta-journal.ts';
import { type JournalInfo, journalsIn, rejectFilesIn } from './journal-status.ts';
import { checkJournals } from './journal-traces.ts';
import type { Growth, ReachedBudget, StorageReport } from './storage-report.ts';

/** Options of `storageStatus`. */
export interface StorageStatusOptions {
  /** Storage to describe. */
  storage: Storage;
  /** Name of the site. Defaults to `default`. */
  site?: string | undefined;
  /** Directory of the apps' journals: the option `journal.dir` of the app. Defaults to none. */
  journal?: string | undefined;
}

const DAY = 24 * 3_600_000;
/** Number of complete days from which the growth is estimated. */
const DAYS = 7;
const YEAR = 365;

/** Describes a storage: its size, growth, retention, budgets and journals, with advice on problems. */
export async function storageStatus(options: StorageStatusOptions): Promise<StorageReport> {
  const { storage, site = 'default', journal } = options;
  checkJournals(journal);
  const { reader } = storage;
  const stored = await storedTimeZone(storage, site);
  const zone = calendar(stored);
  const { timeZone } = zone;
  const now = wallClock.now();
  const [summaries, size, retention] = await Promise.all([
    storedSummaries(reader, site),
    reader.size(),
    reader.retention(site),
  ]);
  const [oldest] = (await reader.scan({ site, after: undefined, limit: 1 })).records;
  const [newest] = await reader.usage({ site, ...ANY_DATE, limit: 1, offset: 0 });
  const found = {
    storage: storage.label,
    site,
    timeZone,
    summaries,
    oldest: oldest ? zone.format(oldest.ms) : null,
    newest: newest ? zone.format(newest.date) : null,
    size,
    growth: await growthOf(reader, site, zone, { size, retention, now, first: oldest?.ms }),
    retention,
    budgets: await reachedBudgets(reader, site, zone, summaries, now),
    journals: journal === undefined ? undefined : await journalsOf(storage, site, stored, journal),
    rejects: journal === undefined ? undefined : rejectFilesIn(journal),
  };
  const jump = jumpOf(zone, now, { retention, newest: newest?.date });
  const hidden = PARTS.filter((part) => correctedStarts(retention, zone, now)[part]);
  const advice = adviceOf(found, horizonsOf(keepTimesOf(retention), zone, now), jump, hidden);
  if (targetOf(stored) !== undefined) {
    advice.unshift(
      `The time zone of the site is being changed, and no app can store requests. If track-usage rebuild is not running, continue with track-usage rebuild --time-zone ${timeZone}.`,
    );
  }
  return { ...found, advice };
}

async function journalsOf(
  storage: Storage,
  site: string,
  timeZone: string,
  dir: string,
): Promise<JournalInfo[]> {
  const { reader } = storage;
  const now = wallClock.now();
  if ((await reader.position({ site, journal: '' })) !== null) {
    const positionOf = async (journal: string) => (await reader.position({ site, journal })) ?? undefined;
    return journalsIn(dir, positionOf, now);
  }
  const { writer } = await openMaintenance(storage, site, timeZone);
  try {
    return await journalsIn(dir, (id) => writer.position(id), now);
  } finally {
    await writer.close();
  }
}

/** Returns the key budgets that recent buckets have reached. */
async function reachedBudgets(
  reader: CompleteReader,
  site: string,
  zone: Calendar,
  summaries: readonly string[],
  now: number,
): Promise<ReachedBudget[]> {
  const from: Record<Period, number> = {
    hour: zone.hourOf(now - DAY),
    day: zone.dayOf(now - 7 * DAY),
    month: zone.monthOf(now),
  };
  const visitors = new VisitorCounter(reader);
  const found: ReachedBudget[] = [];
  for (const summary of summaries) {
    for (const period of PERIODS) {
      const spans = [{ period, from: from[period], to: now }];
      const { hits } = await reader.total({ site, summary, spans, target: OTHERS });
      if (hits === 0) continue;
      // Daily visitors of a month are counted from its days, so its own budget does not matter.
      const isMonth = summary === VISITORS && period === 'month';
      if (isMonth && (await visitors.hasDaily(site, period, from.month))) continue;
      found.push({ summary, period, hits });
    }
  }
  return found;
}

interface Measured {
  size: StorageSize;
  retention: StoredRetention;
  now: number;
  /** Date of the oldest record. */
  first: number | undefined;
}

async function growthOf(
  reader: CompleteReader,
  site: string,
  zone: Calendar,
  { size, retention, now, first }: Measured,
): Promise<Growth> {
  const today = zone.dayOf(now);
  const to = today - 1;
  const from = zone.dayOf(today - DAYS * DAY);
  const days = await reader.series({
    site,
    summary: COVERAGE.name,
    period: 'day',
    from,
    to,
    target: undefined,
  });
  if (days.length === 0 && first !== undefined && first >= today) {
    return { requestsPerDay: null, bytesPerDay: null, bytesInYear: null };
  }
  const count = Math.max(1, days.length);
  const requestsPerDay = days.reduce((sum, { hits }) => sum + hits, 0) / count;
  // Number of rows that a day adds to each part.
  const rows: Record<Part, number> = { records: requestsPerDay, hour: 0, day: 0, month: 0 };
  for (const summary of await reader.summaries(site)) {
    for (const period of PERIODS) {
      const start = period === 'month' ? zone.monthOf(to) : from;
      const range = { site, summary, from: start, to: period === 'month' ? now : to, target: undefined };
      const buckets = await reader.series({ ...range, period });
      // Nearly every bucket also has requests without a key.
      const keys = buckets.reduce((sum, bucket) => sum + bucket.keys + 1, 0);
      rows[period] += keys / (period === 'month' ? 30 * Math.max(1, buckets.length) : count);
    }
  }
  const added = PARTS.map((part) => ({ part, bytes: bytesOf(size[part], rows[part]) }));
  const perRecord = perRow(size.texts, size.records.rows);
  if (size.total === null || perRecord === null || added.some(({ bytes }) => bytes === null)) {
    return { requestsPerDay, bytesPerDay: null, bytesInYear: null };
  }
  const texts = perRecord * requestsPerDay;
  let [bytesPerDay, bytesInYear] = [0, size.total];
  const horizons = horizonsOf(keepTimesOf(retention), zone, now);
  for (const { part, bytes } of added) {
    const ofDay = (bytes ?? 0) + (part === 'records' ? texts : 0);
    const age = first === undefined ? 0 : (now - first) / DAY;
    const horizon = horizons[part];
    // A part with a retention period grows until it is as old as that period.
    const left = horizon === undefined ? YEAR : Math.max(0, (now - horizon) / DAY - age);
    if (left > 0) bytesPerDay += ofDay;
    bytesInYear += ofDay * Math.min(YEAR, left);
  }
  return { requestsPerDay, bytesPerDay: Math.round(bytesPerDay), bytesInYear: Math.round(bytesInYear) };
}

/** Returns the bytes of a number of rows of a part; `null` if unknown. */
function bytesOf(size: PartSize, rows: number): number | null {
  if (rows === 0) return 0;
  const each = perRow(size, size.rows);
  return each === null ? null : each * rows;
}

function perRow({ bytes, indexes }: PartSize, rows: number | null): number | null {
  if (bytes === null || rows === null) return null;
  return rows === 0 ? 0 : (bytes + (indexes ?? 0)) / rows;
}
