import { randomUUID } from 'node:crypto';
import { show, TrackUsageError } from '../errors.ts';
import type { Position } from '../journal/position.ts';
import { monotonicClock, setTimeout } from '../platform/clock.ts';
import type { Storage } from '../query/storage.ts';
import { storedZone } from '../query/stored-zone.ts';
import { storedSummaries } from '../query/sums-and-records.ts';
import type { TextColumn } from '../record.ts';
import type { DeltaRow } from '../storage/batch-rows.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { Measures, Person, StorageMaintenance } from '../storage/contract.ts';
import { ANY_DATE } from '../storage/cursor.ts';
import { minus, noMeasures, sumOf } from '../storage/measures.ts';
import { FIRST_ROWS, Lease, nextLimit } from '../storage/prune.ts';
import { COVERAGE, ERASED } from '../summaries/coverage.ts';
import { type Calendar, PERIODS } from '../summaries/periods.ts';
import { STANDARD_SUMMARIES } from '../summaries/standard.ts';
import { coverageSums } from './compare.ts';
import { changeMark, type MaintenanceSession, withMaintenance } from './delta-journal.ts';
import {
  checkJournals,
  identityDirectories,
  type JournalTraces,
  journalTraces,
  removeRejected,
  removeStoredBatches,
} from './journal-traces.ts';
import { hoursOf, type PersonHours } from './person.ts';

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

/** Progress of `forget`. */
export interface ForgetProgress {
  /** Current step. */
  step: 'journals' | 'keys' | 'records' | 'texts' | 'files';
  /** Number of rows that the step has changed so far; in the step `journals`, of journals to wait for. */
  rows: number;
}

/** Other text that contains the person's value. */
export interface RemainingText {
  /** Column of the records, or name of the summary. */
  where: string;
  /** The text. */
  text: string;
}

/** Summary that had a key of the person. */
export interface ForgottenKey {
  /** Name of the summary. */
  summary: string;
  /** Number of buckets, of all periods, from which the key was removed. */
  buckets: number;
  /** Number of requests of the key. */
  hits: number;
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
/** Maximum time to wait for another process to finish pruning, in ms. */
const PRUNE_TIMEOUT = 60_000;
/** Number of sums that are moved in one batch. */
const SUMS_PER_BATCH = 2_000;
/** Maximum number of searches. Repeated as long as apps store more records of the person. */
const MAX_ROUNDS = 10;
/** Maximum number of texts of each kind that are listed. */
export const MAX_TEXTS = 20;
/** Columns with texts that may contain a name, an address or an ID. */
const SEARCHED: readonly TextColumn[] = [
  'url',
  'urlKey',
  'route',
  'referrer',
  'agent',
  'forwardedFor',
  'username',
  'visitor',
];

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
 * Returns the stored summaries whose keys may identify the person: those of the same column, and those with keys that a
 * function may return.
 */
async function identifyingSummaries(
  reader: CompleteReader,
  site: string,
  { column }: Person,
): Promise<string[]> {
  const stored = await storedSummaries(reader, site);
  return stored.filter((name) => {
    const standard = STANDARD_SUMMARIES.find((each) => each.name === name);
    return standard === undefined || standard.column === column || standard.column === 'urlKey';
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

/** Deletes a person from a database. */
class Deletion {
  readonly #label: string;
  readonly #reader: CompleteReader;
  readonly #site: string;
  readonly #zone: Calendar;
  readonly #person: Person;
  readonly #summaries: readonly string[];
  readonly #session: MaintenanceSession;
  readonly #maintenance: StorageMaintenance;
  readonly #onProgress: NonNullable<ForgetOptions['onProgress']>;
  readonly #keys = new Map<string, { buckets: number; hits: number }>();
  #records = 0;

  constructor(
    { storage, person, onProgress = () => {} }: ForgetOptions,
    site: string,
    zone: Calendar,
    summaries: readonly string[],
    session: MaintenanceSession,
  ) {
    this.#label = storage.label;
    this.#reader = storage.reader;
    this.#site = site;
    this.#zone = zone;
    this.#person = person;
    this.#summaries = summaries;
    this.#session = session;
    this.#maintenance = session.maintenance;
    this.#onProgress = onProgress;
  }

  /** Deletes the person, and returns what was deleted. `isComplete` is false if the last round still found something. */
  async run(): Promise<Pick<ForgetResult, 'records' | 'keys'> & { isComplete: boolean }> {
    let marked = 0;
    let isComplete = false;
    for (let round = 0; round < MAX_ROUNDS && !isComplete; round++) {
      await this.#session.renew();
      const found = await hoursOf(this.#reader, this.#site, this.#zone, this.#person);
      // Marked before they are deleted: otherwise, an interruption would leave buckets that look damaged.
      await this.#mark(found);
      marked += found.records;
      const deleted = await this.#erase();
      const moved = await this.#moveKeys();
      isComplete = found.records + deleted + moved === 0;
    }
    if (this.#records > marked) await this.#markMissing();
    await this.#removeTexts();
    const keys = [...this.#keys].map(([summary, moved]) => ({ summary, ...moved }));
    return { records: this.#records, keys, isComplete };
  }

  /** Adds records that are about to be deleted to `ERASED`. */
  async #mark({ hours }: Pick<PersonHours, 'hours'>): Promise<void> {
    const changes = [...hours].flatMap(([hour, measures]) =>
      PERIODS.map(
        (period): DeltaRow => ({
          ...{ summary: ERASED.name, period, bucket: this.#zone.bucketOf(period, hour), key: null },
          ...measures,
        }),
      ),
    );
    await this.#change(merged(changes));
  }

  async #erase(): Promise<number> {
    let deleted = 0;
    for (let limit = FIRST_ROWS; ; ) {
      await this.#session.renew();
      const begin = monotonicClock.now();
      const rows = await this.#maintenance.erase(this.#person, limit);
      if (rows === 0) break;
      limit = nextLimit(limit, monotonicClock.now() - begin);
      deleted += rows;
      this.#onProgress({ step: 'records', rows: this.#records + deleted });
    }
    this.#records += deleted;
    return deleted;
  }

  /** Moves the sums of the person's key to the requests without a key. Returns the number of moved sums. */
  async #moveKeys(): Promise<number> {
    let moved = 0;
    for (const summary of this.#summaries) {
      for (const period of PERIODS) {
        for (;;) {
          await this.#session.renew();
          const rows = await this.#reader.sums({
            ...sumsOf(this.#site, summary, this.#person),
            period,
            limit: SUMS_PER_BATCH,
          });
          if (rows.length === 0) break;
          const changes = rows.flatMap(({ key, bucket, ...measures }): DeltaRow[] => [
            { summary, period, bucket, key, ...minus(noMeasures(), measures) },
            { summary, period, bucket, key: null, ...measures },
          ]);
          await this.#change(changes);
          const counted = this.#keys.get(summary) ?? { buckets: 0, hits: 0 };
          counted.buckets += rows.length;
          if (period === 'month') counted.hits += sumOf(rows).hits;
          this.#keys.set(summary, counted);
          moved += rows.length;
          this.#onProgress({ step: 'keys', rows: moved });
        }
      }
    }
    return moved;
  }

  /**
   * Marks the hours from which records are missing. Needed if an app stored a record of the person after the records
   * were counted and before they were deleted.
   */
  async #markMissing(): Promise<void> {
    await this.#session.renew();
    const { records } = await this.#reader.retention(this.#site);
    const summary = COVERAGE.name;
    const request = { site: this.#site, period: 'hour', ...ANY_DATE, target: undefined } as const;
    const from = records?.before ?? ANY_DATE.from;
    const hours = await this.#reader.series({ ...request, summary, from });
    const erased = new Map(
      (await this.#reader.series({ ...request, summary: ERASED.name, from })).map((row) => [
        row.bucket,
        row.hits,
      ]),
    );
    const missing = new Map<number, Measures>();
    for (const { bucket } of hours) {
      const counted = { ...COVERAGE, column: 'botName' } as const;
      const span = { period: 'hour', from: bucket, to: this.#zone.next('hour', bucket) - 1 } as const;
      const recount = await this.#reader.recount({ site: this.#site, summary: counted, ...span });
      const left = coverageSums(recount.coverage).all.hits - recount.records - (erased.get(bucket) ?? 0);
      if (left > 0) missing.set(bucket, { ...noMeasures(), hits: left });
    }
    await this.#mark({ hours: missing });
  }

  async #removeTexts(): Promise<void> {
    // Under the lease for pruning, because a pass ends early if another process starts one.
    const lease = new Lease(this.#maintenance, 'prune', randomUUID());
    for (const deadline = monotonicClock.now() + PRUNE_TIMEOUT; !(await lease.acquire()); ) {
      if (monotonicClock.now() >= deadline) {
        throw new TrackUsageError('MAINTENANCE_BUSY', { value: this.#label, site: this.#site });
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
      await this.#session.renew();
    }
    try {
      await this.#sweep(lease);
    } finally {
      await lease.release();
    }
    this.#onProgress({ step: 'files', rows: 0 });
    await this.#maintenance.scrub();
  }

  async #sweep(lease: Lease): Promise<void> {
    // The writing end was opened for this deletion, so its pass begins here, behind everything that was deleted.
    for (let steps = 1; await this.#maintenance.sweep(); steps++) {
      this.#onProgress({ step: 'texts', rows: steps });
      await this.#session.renew();
      await lease.renew();
    }
  }

  async #change(changes: readonly DeltaRow[]): Promise<void> {
    for (let at = 0; at < changes.length; at += 2 * SUMS_PER_BATCH) {
      const part = changes.slice(at, at + 2 * SUMS_PER_BATCH);
      const months = new Set(part.map(({ bucket }) => this.#zone.monthOf(bucket)));
      await this.#session.change([...part, ...[...months].map((month) => changeMark(this.#zone, month))]);
    }
  }
}

function sumsOf(site: string, summary: string, { value }: Person) {
  return { site, summary, ...ANY_DATE, target: value, offset: 0 };
}

/** Adds up the changes of the same key. */
function merged(changes: readonly DeltaRow[]): DeltaRow[] {
  const groups = Map.groupBy(changes, ({ period, bucket }) => `${period} ${bucket}`);
  return [...groups.values()].map((members) => ({ ...members[0]!, ...sumOf(members) }));
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
