import { show, TrackUsageError } from '../errors.ts';
import type { Position } from '../journal/position.ts';
import { monotonicClock, setTimeout } from '../platform/clock.ts';
import type { Storage } from '../query/storage.ts';
import { storedZone } from '../query/stored-zone.ts';
import { storedNames, storedSummaries } from '../query/sums-and-records.ts';
import type { TextColumn } from '../record.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { Person } from '../storage/contract.ts';
import { ANY_DATE } from '../storage/cursor.ts';
import { sumOf } from '../storage/measures.ts';
import { companionBase } from '../summaries/latency.ts';
import { type Calendar, PERIODS } from '../summaries/periods.ts';
import { STANDARD_SUMMARIES } from '../summaries/standard.ts';
import { Deletion, type ForgetProgress, type ForgottenKey, MAX_ROUNDS, sumsOf } from './deletion.ts';
import { type MaintenanceSession, withMaintenance } from './delta-journal.ts';
import {
  checkJournals,
  identityDirectories,
  type JournalTraces,
  journalTraces,
  removeRejected,
  removeStoredBatches,
} from './journal-traces.ts';
import { hoursOf } from './person.ts';

/** Options of `forget`. */
export interface ForgetOptions {
  /** Storage from which the person is deleted. */
  storage: Storage;
  /** Person to delete. */
  person: Person;
  /** Name of the site. Defaults to `default`. */
  site?: string | undefined;
  /** Directory of the apps' journals: the option `journal.dir` of the app. Defaults to none. */
  journal?: string | undefined;
  /** Maximum time to wait for apps to store the person's records that are in journals, in ms. Defaults to 10,000. */
  timeout?: number | undefined;
  /** True to count without deleting anything. Defaults to false. */
  dryRun?: boolean | undefined;
  /** Called repeatedly with the progress. */
  onProgress?: ((progress: ForgetProgress) => void) | undefined;
}

/** Other text that contains the person's value. */
export interface RemainingText {
  /** Column of the records, or name of the summary. */
  where: string;
  /** The text. */
  text: string;
}

/** Result of `forget`. */
export interface ForgetResult {
  /** Number of deleted records. */
  records: number;
  /** Summaries with a key of the person, whose sums were moved to the requests without a key. */
  keys: ForgottenKey[];
  /** Number of rejected records that were deleted from files. */
  rejected: number;
  /** Number of saved batches that were deleted. */
  batches: number;
  /** Journals with records of the person that no app has stored yet. Run `forget` again once they are stored. */
  pending: string[];
  /** Journals with copies of stored records, which are deleted when the app stops or their segment is full. */
  stored: string[];
  /** Other texts that contain the value, at most 20 of each kind. They are not deleted. */
  remaining: RemainingText[];
}

const TIMEOUT = 10_000;
const POLL_INTERVAL = 250;
/** Maximum number of texts of each kind that are listed. */
export const MAX_TEXTS = 20;
/** Columns with texts that may contain a name, an address or an ID. */
const SEARCHED: readonly TextColumn[] = [
  'url',
  'urlKey',
  'route',
  'campaign',
  'referrer',
  'agent',
  'forwardedFor',
  'username',
  'visitor',
];

/** Columns with texts that a user's function or a client chooses freely, so that they may be those of a person. */
const CHOSEN: readonly TextColumn[] = ['urlKey', 'notFound', 'campaign'];

/**
 * Deletes a person: the records, the keys in summaries (totals do not change), and the texts. Afterward, the files of
 * the database no longer contain them. Apps may continue to store records.
 */
export async function forget(options: ForgetOptions): Promise<ForgetResult> {
  const { storage, site = 'default', person, journal, dryRun = false } = options;
  checkPerson(person);
  checkJournals(journal);
  const { reader } = storage;
  const zone = await storedZone(storage, site);
  const names = await identifyingSummaries(reader, site, person);
  if (dryRun) return dryRunOf(options, zone, names);
  const { isComplete, ...result } = await withMaintenance(storage, site, zone.timeZone, async (session) => {
    const positionOf = (id: string) => session.writer.position(id);
    const traces = await waitForJournals(options, session, positionOf);
    const deleted = await new Deletion(options, site, zone, names, session).run();
    const batches =
      journal === undefined ? 0 : await removeStoredBatches(journal, person.value, storage.label, positionOf);
    return { ...deleted, batches, ...traces };
  });
  const rejected = journal === undefined ? 0 : removeRejected(journal, person, false);
  if (!isComplete)
    throw new TrackUsageError('FORGET_INCOMPLETE', { value: storage.label, rounds: MAX_ROUNDS });
  return { ...result, rejected, remaining: await remainingTexts(reader, site, person) };
}

function checkPerson(person: Person): void {
  const { column, value } = person ?? {};
  const columns = ['visitor', 'remoteAddr', 'username'];
  if (!columns.includes(column)) {
    throw invalid('column', column, columns.map((name) => `"${name}"`).join(' or '));
  }
  if (typeof value !== 'string' || value === '') throw invalid('value', value, 'a nonempty string');
}

function invalid(name: string, value: unknown, expected: string): TrackUsageError {
  return new TrackUsageError('OPTION_INVALID', {
    name: `forget.person.${name}`,
    value: show(value),
    expected,
  });
}

/**
 * Returns the stored summaries whose keys may identify the person, with their companions: those of the same column, and
 * those with keys that a function may return.
 */
async function identifyingSummaries(
  reader: CompleteReader,
  site: string,
  { column }: Person,
): Promise<string[]> {
  const stored = await storedNames(reader, site);
  return stored.filter((name) => {
    const of = companionBase(name) ?? name;
    const standard = STANDARD_SUMMARIES.find((each) => each.name === of);
    return standard === undefined || [column, ...CHOSEN].includes(standard.column!);
  });
}

async function dryRunOf(
  { storage, site = 'default', person, journal }: ForgetOptions,
  zone: Calendar,
  names: readonly string[],
): Promise<ForgetResult> {
  const { reader } = storage;
  const { records } = await hoursOf(reader, site, zone, person);
  const keys: ForgetResult['keys'] = [];
  for (const summary of names) {
    let [buckets, hits] = [0, 0];
    for (const period of PERIODS) {
      const rows = await reader.sums({ ...sumsOf(site, summary, person), period, limit: 0 });
      buckets += rows.length;
      if (period === 'month') hits = sumOf(rows).hits;
    }
    if (buckets > 0) keys.push({ summary, buckets, hits });
  }
  // The positions are unknown unless the writing end is opened.
  const traces =
    journal === undefined
      ? { pending: [], stored: [] }
      : await journalTraces(journal, person.value, async () => undefined);
  const rejected = journal === undefined ? 0 : removeRejected(journal, person, true);
  const remaining = await remainingTexts(reader, site, person);
  return { records, keys, rejected, batches: 0, ...traces, remaining };
}

/** Waits until the storage has all records of the person that are in journals, or the timeout expires. */
async function waitForJournals(
  { journal, person, timeout = TIMEOUT, onProgress }: ForgetOptions,
  session: MaintenanceSession,
  positionOf: (journal: string) => Promise<Position | undefined>,
): Promise<JournalTraces> {
  if (journal === undefined || identityDirectories(journal).length === 0) return { pending: [], stored: [] };
  const deadline = monotonicClock.now() + timeout;
  for (;;) {
    const traces = await journalTraces(journal, person.value, positionOf);
    if (traces.pending.length === 0 || monotonicClock.now() >= deadline) return traces;
    onProgress?.({ step: 'journals', rows: traces.pending.length });
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    await session.renew();
  }
}

/** Returns other texts that contain the value. Values of the same kind, of other people, are omitted. */
async function remainingTexts(
  reader: CompleteReader,
  site: string,
  { column: own, value }: Person,
): Promise<RemainingText[]> {
  // Each search below reads the sums or the records.
  if (!(await reader.hasText(value))) return [];
  const page = { order: 'hits', search: value, limit: MAX_TEXTS, offset: 0 } as const;
  const found = new Map<string, RemainingText>();
  const add = (where: string, text: string | null) => {
    if (text === null || found.has(text)) return;
    if (own !== 'remoteAddr' || hasAddress(text, value)) found.set(text, { where, text });
  };
  for (const column of SEARCHED.filter((each) => each !== own)) {
    const { rows } = await reader.matchingKeys({ site, ...ANY_DATE, where: [], column, ...page });
    for (const { key } of rows) add(column, key);
  }
  const spans = [{ period: 'month', ...ANY_DATE }] as const;
  for (const summary of await storedSummaries(reader, site)) {
    if (STANDARD_SUMMARIES.some(({ name, column }) => name === summary && column === own)) continue;
    const { rows } = await reader.keys({ site, summary, spans, ...page });
    for (const { key } of rows) add(summary, key);
  }
  return [...found.values()];
}

/** Returns whether a text contains an address, and not only as part of a longer one. */
function hasAddress(text: string, address: string): boolean {
  for (let at = text.indexOf(address); at >= 0; at = text.indexOf(address, at + 1)) {
    const [before, after] = [text[at - 1] ?? ' ', text[at + address.length] ?? ' '];
    if (!/[\da-f:]/i.test(before) && !/[\da-f]/i.test(after)) return true;
  }
  return false;
}
