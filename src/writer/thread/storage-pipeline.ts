import { join } from 'node:path';
import type { RecordBatch, RecordBatchData } from '../../batch.ts';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import type { MemoryPiece } from '../../journal/pieces.ts';
import type { Position } from '../../journal/position.ts';
import { JournalReader, type ReadReport } from '../../journal/reader.ts';
import type { SegmentHeader } from '../../journal/segment.ts';
import { clearTimeout, monotonicClock, setImmediate, setTimeout, wallClock } from '../../platform/clock.ts';
import { isFileProblem } from '../../platform/files.ts';
import { checkModule, plainError } from '../../platform/threads.ts';
import type { Batch, StorageModule, StorageWriter, WriterContext } from '../../storage/contract.ts';
import { isReplaced, StorageReplaced } from '../../storage/replaced.ts';
import { fold } from '../../summaries/fold.ts';
import { calendar } from '../../summaries/periods.ts';
import type { Enricher } from '../enrich/enricher.ts';
import {
  type HookLoad,
  NOTHING_YET,
  type PipelineStatus,
  type StorageData,
  type WriterData,
} from '../protocol.ts';
import { BatchBuilder, MAX_RECORDS } from './batch-builder.ts';
import { CustomSummaries } from './custom-summaries.ts';
import { DailyVisitors } from './daily-visitors.ts';
import { HookQuota } from './hook-quota.ts';
import { batchFileName, type FilledBatch, InFlight } from './in-flight.ts';
import { JournalPositions } from './journal-positions.ts';
import type { Journals, OpenJournal } from './journals.ts';
import { counting, type Losses, LossReport, NO_LOSSES } from './losses.ts';
import { Pruning } from './pruning.ts';
import { appendRejected, RejectFileFull } from './reject-file.ts';
import { type AppCalls, RemoteWriter } from './remote-writer.ts';
import { Shortfall } from './shortfall.ts';
import { TextBudget } from './text-budget.ts';

/** Interval at which an idle pipeline checks for new records. */
const IDLE_INTERVAL_MS = 100;
/** Time for which records accumulate before a round. Fewer, larger batches cost the app less. */
const ROUND_INTERVAL_MS = 1_000;
/** Interval at which a pipeline checks that its database is still at its location. */
const CHECK_INTERVAL_MS = 1_000;
/** Bounds of the exponential backoff after a failure. */
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
/**
 * Time for which writing to the reject file is retried. The records behind the rejected one wait. After that,
 * the rejected record is discarded.
 */
const REJECT_FILE_TIMEOUT_MS = 30_000;

const START: Position = { position: 0, ordinal: 0 };

interface Reading {
  reader: JournalReader;
  header: SegmentHeader | undefined;
  /** Committed position of the storage, if known. Queried again after every failure. */
  committed: Position | undefined;
  /** Highest known position of the storage. If the storage is behind it, it was replaced or restored. */
  reached: Position;
  /** Highest position ever reached. Records before it were passed to hooks, and their losses reported. */
  furthest: number;
  /** Number of records that this thread stored, except those known to be lost. */
  stored: number;
  readonly shortfall: Shortfall;
  /** True if a batch may be partly stored. */
  isTried: boolean;
  /** True if the database was found to be replaced since the last query of its position. */
  isReplaced: boolean;
  readonly losses: LossReport;
  /** True until this thread has stored a batch of the journal. */
  isFirst: boolean;
  /** Reason why the journal could not be read or deleted at the last attempt. */
  failure: TrackUsageError | undefined;
  /** Time of the next attempt, and the backoff after the next failure. In ms. */
  retryAt: number;
  backoff: number;
}

/**
 * Writes the journals to one storage, at its own speed. A failing storage does not delay the pipelines of
 * others.
 */
export class StoragePipeline {
  readonly status: PipelineStatus = { ...NOTHING_YET };
  readonly #number: number;
  readonly #storage: StorageData;
  readonly #data: WriterData;
  readonly #journals: Journals;
  readonly #customSummaries: CustomSummaries;
  readonly #texts: TextBudget;
  readonly #builder: BatchBuilder;
  readonly #visitors: DailyVisitors | undefined;
  readonly #readings = new Map<OpenJournal, Reading>();
  readonly #onStatus: () => void;
  readonly #onProblem: (error: TrackUsageError) => void;
  readonly #onStored: (records: RecordBatchData, units: number) => void;
  readonly #calls: AppCalls;
  readonly #hookQuota = new HookQuota();
  #writer: StorageWriter | undefined;
  /** Set if the writing end supports it. */
  #pruning: Pruning | undefined;
  /** Set if the writing end needs it. */
  #inFlight: InFlight | undefined;
  /** Set if the writing end cannot store positions. */
  #positions: JournalPositions | undefined;
  /** True if the database was replaced and nothing has been stored since. */
  #isRenewing = false;
  #checked = Number.NEGATIVE_INFINITY;
  #backoff = MIN_BACKOFF_MS;
  #stopped = false;
  #forgetsOwn = false;
  /** True if the next pause is skipped, because a caller waits. */
  #skipsPause = false;
  /** True if the current round retries failed journals immediately, because a caller waits. */
  #skipsBackoff = false;
  /** True if a caller waits for more records than the current round includes. */
  #isFlushRequested = false;
  /** Number of records stored by this pipeline. */
  #stored = 0;
  /** Journal and position of the last record set aside. */
  #lastRejected: string | undefined;
  /** Time since which the reject file cannot be written. */
  #rejectFileFailingSince: number | undefined;
  #wake: () => void = () => {};

  constructor(
    number: number,
    data: WriterData,
    journals: Journals,
    enricher: Enricher,
    calls: AppCalls,
    {
      onStatus,
      onProblem,
      onStored,
    }: {
      onStatus: () => void;
      onProblem: (error: TrackUsageError) => void;
      onStored: (records: RecordBatchData, units: number) => void;
    },
  ) {
    this.#number = number;
    this.#storage = data.storages[number]!;
    this.#data = data;
    this.#journals = journals;
    this.#customSummaries = new CustomSummaries(this.#storage.summaries, onProblem);
    const { maxRecords = MAX_RECORDS, hooked } = this.#storage;
    // Hooks accept no larger batches.
    const batchLimit = hooked ? Math.min(maxRecords, MAX_RECORDS) : maxRecords;
    this.#texts = new TextBudget(this.#storage.maxTexts);
    this.#visitors = data.daily && new DailyVisitors(data.daily, data.site, calendar(data.timeZone));
    this.#builder = new BatchBuilder(
      enricher,
      data.site,
      this.#customSummaries,
      batchLimit,
      this.#texts,
      data.stored,
      this.#visitors,
      data.urlKeys,
    );
    this.#onStatus = onStatus;
    this.#onProblem = onProblem;
    this.#onStored = onStored;
    this.#calls = calls;
  }

  /** Works until `stop`. Never rejects. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      this.#skipsBackoff = this.#skipsPause;
      this.#skipsPause = false;
      const before = this.#stored;
      const began = monotonicClock.now();
      const failed = !(await this.#round());
      let pause = IDLE_INTERVAL_MS;
      if (failed) pause = this.#nextBackoff();
      else if (this.#stored > before) pause = Math.max(0, ROUND_INTERVAL_MS - (monotonicClock.now() - began));
      if (!failed) pause = await this.#prune(pause);
      await this.#pause(pause);
    }
    for (const { reader, losses } of this.#readings.values()) {
      reader.close();
      losses.reportIfDue(true);
    }
    const writer = this.#writer;
    if (!writer) return;
    await this.#pruning?.stop();
    try {
      if (this.#forgetsOwn) await writer.forget(this.#journals.own.id);
      await writer.close();
    } catch (error) {
      // The records are still in the journal. A removed database was already reported.
      if (isReplaced(error)) return;
      const values = { storage: this.#storage.label, reason: reasonOf(error) };
      this.#onProblem(new TrackUsageError('STORAGE_UNCLOSED', values, { cause: error }));
    }
  }

  /** Starts the next round immediately, because a caller waits. */
  wake(): void {
    this.#skipsPause = true;
    this.#isFlushRequested = true;
    this.#wake();
  }

  /** Returns whether the storage has the own journal up to a position, according to the current state. */
  hasStored(position: number): boolean {
    const { opened, error, position: stored } = this.status;
    if (!opened || error || stored < position) return false;
    try {
      return this.#writer?.isReplaced?.() !== true;
    } catch {
      // The next round determines and reports the reason.
      return false;
    }
  }

  /** Releases hook-queue capacity for records that the app has finished. */
  called(load: HookLoad): void {
    this.#hookQuota.release(load);
  }

  /** Ends the work. With `forgetsOwn`, the own journal is deleted and the storage can remove its position. */
  stop(forgetsOwn: boolean): void {
    this.#forgetsOwn = forgetsOwn;
    this.#stopped = true;
    this.wake();
  }

  /**
   * Stores the records that existed when the round began. Returns false on failure. Records that arrive
   * during a round wait for the next one, so that batches stay large. Batches of a few records cost many
   * times as much per record.
   */
  async #round(): Promise<boolean> {
    try {
      this.#writer ??= await this.#open();
      this.#check(this.#writer);
      await this.#visitors?.renew(this.#writer);
      const live = this.#journals.own.live!;
      let end = 0;
      let marked = Number.NEGATIVE_INFINITY;
      // One batch per journal in turn, so that a dead process's long journal does not delay the own one.
      for (let progress = true; progress && !this.#stopped; ) {
        if (this.#isFlushRequested || monotonicClock.now() - marked >= ROUND_INTERVAL_MS) {
          this.#isFlushRequested = false;
          marked = monotonicClock.now();
          end = live.end;
        }
        progress = false;
        for (const journal of this.#journals.all) {
          if (!journal.live && this.#storage.ephemeral) continue;
          if (await this.#attempt(journal, this.#writer, end)) progress = true;
          // A storage may never wait for I/O. This yields to the thread's messages.
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      await this.#forgetDiscarded(this.#writer);
      this.#isRenewing = false;
      this.#positions?.retry();
      this.#backoff = MIN_BACKOFF_MS;
      for (const { losses } of this.#readings.values()) losses.reportIfDue(false);
      const failure = this.#journals.all.find((journal) => this.#readings.get(journal)?.failure);
      const journalError = failure && plainError(this.#readings.get(failure)!.failure);
      if (
        this.status.error ||
        !this.status.opened ||
        this.status.journalError?.message !== journalError?.message
      ) {
        this.status.error = undefined;
        this.status.journalError = journalError;
        this.status.opened = true;
        this.#onStatus();
      }
      return true;
    } catch (error) {
      // The storage may have committed without confirming it, so its position must be queried.
      for (const reading of this.#readings.values()) reading.committed = undefined;
      const problem =
        error instanceof TrackUsageError
          ? error
          : new TrackUsageError(
              'STORAGE_FAILED',
              { storage: this.#storage.label, reason: reasonOf(error) },
              { cause: error },
            );
      // Reported after reopening, together with the losses. Reported now if reopening did not help.
      const isReported = !isReplaced(error) || this.#isRenewing;
      if (isReplaced(error)) await this.#renew();
      this.status.error = plainError(isReplaced(error) ? problem : error);
      this.#onStatus();
      if (isReported) this.#onProblem(problem);
      return false;
    }
  }

  /**
   * Deletes expired data, in at least one step, and in more for as long as the pause lasts. Returns the rest of the
   * pause.
   */
  async #prune(pause: number): Promise<number> {
    const end = monotonicClock.now() + pause;
    try {
      while (!this.#stopped) {
        const rows = await this.#pruning?.step();
        if (rows === undefined) break;
        this.status.pruned += rows;
        // This yields to the thread's messages.
        await new Promise((resolve) => setImmediate(resolve));
        if (this.#skipsPause || monotonicClock.now() >= end) break;
      }
    } catch (error) {
      // The next round finds and reports the same problem.
      if (!isReplaced(error)) throw error;
    }
    const problem = this.#pruning?.problem;
    if (problem?.message !== this.status.pruneError?.message) {
      this.status.pruneError = problem && plainError(problem);
      this.#onStatus();
    }
    return Math.max(0, end - monotonicClock.now());
  }

  /** Throws if the database is no longer at its location. Checked periodically, and when a caller waits. */
  #check(writer: StorageWriter): void {
    if (!writer.isReplaced) return;
    const now = monotonicClock.now();
    if (!this.#isFlushRequested && now - this.#checked < CHECK_INTERVAL_MS) return;
    this.#checked = now;
    if (writer.isReplaced()) {
      throw new StorageReplaced(`${this.#storage.label} was removed or replaced`);
    }
  }

  /** Reopens the storage, because its writing end has cached data of the old database. */
  async #renew(): Promise<void> {
    this.#isRenewing = true;
    for (const reading of this.#readings.values()) reading.isReplaced = true;
    this.#visitors?.reset();
    const writer = this.#writer;
    // A writer with `resume` sets up the new database itself.
    if (writer?.resume) return;
    this.#writer = undefined;
    try {
      await writer?.close();
    } catch {
      // It belonged to the removed database.
    }
  }

  async #open(): Promise<StorageWriter> {
    await this.#customSummaries.load();
    const { module, options, positions, label } = this.#storage;
    const { site, timeZone, durable, directory } = this.#data;
    const { retention, maxKeys } = this.#storage;
    const context: WriterContext = { site, timeZone, durable, retention, maxKeys };
    if (module !== undefined) checkModule(module);
    const writer =
      module === undefined
        ? await RemoteWriter.open(this.#number, this.#calls, context)
        : await ((await import(module)) as StorageModule).openWriter(options, context);
    // Ephemeral storages are not counted, because another process may have other ones.
    const number = this.#data.storages.slice(0, this.#number).filter(({ ephemeral }) => !ephemeral).length;
    const name = batchFileName(number, label);
    this.#pruning =
      writer.maintenance && new Pruning(writer.maintenance, { retention, timeZone, label }, this.#onProblem);
    await this.#pruning?.prepare();
    const counts = this.#storage.summaries.some(({ column }) => column === 'visitor');
    const { daily } = this.#data;
    if (counts && daily && daily.secret === undefined && !writer.visitorKey) {
      this.#onProblem(new TrackUsageError('VISITORS_UNKEYED', { storage: label }));
    }
    this.#inFlight = writer.replays ? new InFlight(directory, name, timeZone, this.#onProblem) : undefined;
    if (positions === 'storage') return writer;
    this.#positions = new JournalPositions(writer, directory, name, this.#onProblem);
    return this.#positions;
  }

  /**
   * Runs `#advance`. If a journal's files cannot be read or deleted, it is retried later, and other journals
   * continue.
   */
  async #attempt(journal: OpenJournal, writer: StorageWriter, end: number): Promise<boolean> {
    const reading = this.#readingOf(journal);
    if (monotonicClock.now() < reading.retryAt && !this.#skipsBackoff) return false;
    try {
      if (!this.#journals.holds(journal)) return false;
      const progress = await this.#advance(journal, reading, writer, end);
      reading.failure = undefined;
      reading.backoff = MIN_BACKOFF_MS;
      return progress;
    } catch (error) {
      if (!isFileProblem(error)) throw error;
      reading.committed = undefined;
      reading.failure = error;
      reading.retryAt = monotonicClock.now() + reading.backoff;
      reading.backoff = Math.min(MAX_BACKOFF_MS, reading.backoff * 2);
      this.#onProblem(error);
      return false;
    }
  }

  /** Stores one batch of a journal. Returns false if there is none, or none that starts before `end`. */
  async #advance(
    journal: OpenJournal,
    reading: Reading,
    writer: StorageWriter,
    end: number,
  ): Promise<boolean> {
    if (!reading.committed) {
      reading.committed = await this.#locate(journal, reading, writer);
      this.#commit(journal, reading.committed);
    }
    const from = reading.committed;
    if (journal.live && from.position >= end) return false;
    if (reading.reader.atEnd(from.position)) return this.#finish(journal, reading);
    const until = from.position < reading.furthest ? reading.furthest : Number.POSITIVE_INFINITY;
    reading.committed = await this.#store(journal, reading, from, writer, until);
    if (!reading.committed) return true;
    if (reading.committed.position === from.position) return false;
    // Not cleared where a position is read, because a storage that accepts no batches may still return it.
    this.status.error = undefined;
    this.#isRenewing = false;
    reading.reached = reading.committed;
    reading.furthest = Math.max(reading.furthest, reading.committed.position);
    this.#commit(journal, reading.committed);
    return true;
  }

  /** Queries the storage's position, and detects a replaced database. */
  async #locate(journal: OpenJournal, reading: Reading, writer: StorageWriter): Promise<Position> {
    const { reached } = reading;
    const found = await writer.position(journal.id);
    const at = found ?? START;
    const isUnknown = found === undefined && (reached.position > 0 || reading.isTried);
    const isBehind = at.position < reached.position || (isUnknown && writer.resume !== undefined);
    // A position file can be ahead of or behind the writing end.
    const isNone = this.#storage.positions === 'journal' || (!isBehind && !reading.isReplaced);
    if (!isNone && !writer.resume && !reading.isReplaced) {
      throw new StorageReplaced(`${this.#storage.label} has fewer records than were stored in it`);
    }
    let start = at;
    if (!isNone) {
      const isGone = writer.resume !== undefined && (isUnknown || reading.isReplaced);
      if (isGone) start = found ?? reached;
      // The database may never have been gone, and may simply have no data of this journal.
      const isOther = !isGone || found || (await writer.resume!(journal.id, reached));
      if (isOther) this.#countReplaced(journal, reading, start, isGone);
      reading.isReplaced = false;
      reading.isTried = false;
    }
    reading.reached = start;
    reading.furthest = Math.max(reading.furthest, start.position);
    return start;
  }

  /**
   * Counts the records lost with the old database.
   * @param isGone True if all were lost, even if the journal still has some.
   */
  #countReplaced(journal: OpenJournal, reading: Reading, start: Position, isGone: boolean): void {
    const { reader, reached, shortfall } = reading;
    // If the whole database was lost, a batch in progress starts at `reached`. Otherwise, existing records are
    // read again.
    const from = isGone ? START : start;
    const first = isGone ? reached : reader.firstAt(start);
    const end = first.position < reached.position ? first : reached;
    // A storage can be ahead: a commit that failed afterward may have been saved when the old database was closed.
    const isAhead = end.position <= from.position;
    // Records lost or refused before were never stored.
    const lost = isAhead ? 0 : end.ordinal - from.ordinal - shortfall.between(from, end);
    const missed = isGone ? { lost: -lost, rejected: 0 } : shortfall.rollBack(start);
    if (isGone) shortfall.add(reached, { lost, rejected: 0 });
    const { status } = this;
    if (journal.live) {
      status.lost -= missed.lost;
      status.rejected -= missed.rejected;
    } else {
      const undone = Math.min(reading.stored, isGone ? lost : reached.ordinal - start.ordinal);
      reading.stored -= undone;
      status.adopted -= undone;
      status.adoptedLost -= missed.lost;
      status.adoptedRejected -= missed.rejected;
    }
    if (!journal.live && lost === 0) return;
    this.#onProblem(new TrackUsageError('STORAGE_REPLACED', { storage: this.#storage.label, lost }));
  }

  #readingOf(journal: OpenJournal): Reading {
    let reading = this.#readings.get(journal);
    if (!reading) {
      const reader = new JournalReader(
        journal.directory,
        journal.live,
        journal.memory,
        undefined,
        journal.known,
      );
      const before = (journal.live && this.#data.before[this.#number]) || NOTHING_YET;
      reading = {
        reader,
        header: undefined,
        committed: undefined,
        reached: { position: before.position, ordinal: before.ordinal },
        furthest: before.position,
        stored: 0,
        shortfall: new Shortfall(),
        isTried: false,
        isReplaced: false,
        losses: new LossReport(journal, this.#onProblem),
        isFirst: true,
        failure: undefined,
        retryAt: 0,
        backoff: MIN_BACKOFF_MS,
      };
      reading.shortfall.add(before, before);
      this.#readings.set(journal, reading);
    }
    return reading;
  }

  /**
   * Stores one batch from `from` on, of at most `maxRecords`. Returns the storage's new position, or
   * `undefined` if it must be queried. Refused records are located by bisection and set aside.
   */
  async #store(
    journal: OpenJournal,
    reading: Reading,
    from: Position,
    writer: StorageWriter,
    until: number,
    maxRecords = Number.POSITIVE_INFINITY,
  ): Promise<Position | undefined> {
    if (!this.#journals.holds(journal)) return from;
    const filled = await this.#next(journal, reading, from, until, writer, maxRecords);
    const { batch, losses } = filled;
    const { to } = batch;
    // Ownership may have ended while filling waited for a service.
    if (to.position === from.position || !this.#journals.holds(journal)) return from;
    reading.isTried = true;
    try {
      if (!(await writer.apply(batch))) return undefined;
    } catch (error) {
      if (!writer.refuses(error)) throw error;
      const { length } = batch.records;
      if (length > 1) {
        this.#inFlight?.clear(journal.id);
        const middle = await this.#store(journal, reading, from, writer, to.position, Math.ceil(length / 2));
        if (!middle) return undefined;
        return this.#store(journal, reading, middle, writer, to.position);
      }
      this.#reject(batch, error);
      batch.records.clear();
      const nothing = { batch: { ...batch, deltas: [] }, losses };
      if (this.#inFlight?.save(nothing) === false) this.#inFlight.keep(nothing);
      if (!(await writer.apply(nothing.batch))) return undefined;
      this.#inFlight?.done(journal.id);
      reading.isTried = false;
      // Counted only now, because a retry refuses the record again.
      if (journal.live) this.status.rejected += 1;
      else this.status.adoptedRejected += 1;
      reading.shortfall.add(to, { lost: 0, rejected: 1 });
      this.#countLosses(journal, reading, to, losses);
      return to;
    }
    this.#inFlight?.done(journal.id);
    reading.isFirst = false;
    reading.isTried = false;
    this.#countOverBudget(batch.records);
    this.#stored += batch.records.length;
    reading.stored += batch.records.length;
    const isNew = to.position > reading.furthest;
    if (journal.live && this.#storage.hooked && isNew) this.#sendToHooks(batch.records);
    if (!journal.live) this.status.adopted += batch.records.length;
    this.#countLosses(journal, reading, to, losses);
    return to;
  }

  /** Counts missing records after the position behind them is committed. Until then they are read again. */
  #countLosses(journal: OpenJournal, reading: Reading, to: Position, losses: Losses): void {
    const records = losses.damaged + losses.dropped;
    if (journal.live) this.status.lost += records;
    else this.status.adoptedLost += records;
    reading.shortfall.add(to, { lost: records, rejected: 0 });
    // Records read again for a replaced database were already reported.
    if (to.position > reading.furthest) reading.losses.add(losses);
  }

  /**
   * Returns the next batch. Continues the one in progress, if any. If the storage needs it, the batch is one
   * that can be repeated.
   */
  async #next(
    journal: OpenJournal,
    reading: Reading,
    from: Position,
    until: number,
    writer: StorageWriter,
    maxRecords: number,
  ): Promise<FilledBatch> {
    const inFlight = this.#inFlight;
    const fill = async (end: number, limit: number): Promise<FilledBatch> => {
      const filled = await this.#fill(journal, reading, from, end, limit, writer);
      if (!writer.admit || filled.batch.to.position === from.position) return filled;
      // A database that was dropped fails here, and is only created again for a batch that was tried.
      reading.isTried = true;
      return { ...filled, batch: await writer.admit(filled.batch) };
    };
    if (!inFlight) return fill(until, maxRecords);
    const before = inFlight.load(journal.id, from);
    if (before) return before;
    let filled = await fill(until, reading.isFirst ? 1 : maxRecords);
    if (filled.batch.to.position === from.position || !this.#journals.holds(journal)) return filled;
    if (inFlight.save(filled)) return filled;
    const memoryEnd = endOfMemory(journal.memory, from.position);
    if (memoryEnd === undefined) filled = await fill(until, 1);
    else if (filled.batch.to.position > memoryEnd) filled = await fill(memoryEnd, maxRecords);
    inFlight.keep(filled);
    return filled;
  }

  #countOverBudget({ overBudget }: RecordBatch): void {
    const { status } = this;
    status.overTexts = this.#texts.rejected;
    if (overBudget.size === 0) return;
    const now = wallClock.now();
    status.overKeys = {
      ...status.overKeys,
      ...Object.fromEntries([...overBudget].map((summary) => [summary, now])),
    };
  }

  #sendToHooks(records: RecordBatch): void {
    const { length, units } = records;
    if (length === 0) return;
    if (this.#hookQuota.reserve({ records: length, units })) this.#onStored(records.toData(), units);
    else this.status.unhooked += length;
  }

  /** Fills a batch, after the keys of its visitors were loaded. */
  async #fill(
    journal: OpenJournal,
    reading: Reading,
    from: Position,
    until: number,
    maxRecords: number,
    writer: StorageWriter,
  ): Promise<FilledBatch> {
    for (;;) {
      const filled = await this.#fillWithKeys(journal, reading, from, until, maxRecords);
      // A batch ends before the first record of a day whose key is unknown.
      if (!this.#visitors?.isWaiting) return filled;
      await this.#visitors.load(writer);
      if (filled.batch.to.position > from.position) return filled;
    }
  }

  async #fillWithKeys(
    journal: OpenJournal,
    reading: Reading,
    from: Position,
    until: number,
    maxRecords: number,
  ): Promise<FilledBatch> {
    const builder = this.#builder;
    const { site, serverName, timeZone } = this.#data;
    const { reader } = reading;
    reading.header ??= reader.header();
    builder.begin(reading.header ?? { site, serverName });
    const losses = { ...NO_LOSSES };
    const report: ReadReport = {
      ...counting(losses),
      gone: () => this.#onProblem(new TrackUsageError('JOURNAL_GONE', { value: journal.directory })),
    };
    const to = reader.read(
      from,
      until,
      (fields) => {
        return !builder.isFull && builder.batch.length < maxRecords && builder.add(fields);
      },
      report,
    );
    const located = builder.locate();
    if (located) await located;
    builder.complete();
    const { batch: records } = builder;
    const deltas = fold(records, this.#storage.summaries, calendar(timeZone));
    const batch: Batch = { journal: journal.id, from, to, records, deltas };
    return { batch, losses };
  }

  #commit(journal: OpenJournal, position: Position): void {
    this.#journals.commit(journal, this.#number, position);
    this.status.opened = true;
    if (journal.live) {
      this.status.position = position.position;
      this.status.ordinal = position.ordinal;
    }
    this.#onStatus();
  }

  /**
   * Handles the end of a dead process's journal. The last storage to reach it deletes the journal, which
   * makes room for the next one. Returns whether it did.
   */
  #finish(journal: OpenJournal, { reader, losses }: Reading): boolean {
    reader.close();
    losses.reportIfDue(true);
    journal.committed[this.#number] = Number.POSITIVE_INFINITY;
    if (Math.min(...journal.committed) < Number.POSITIVE_INFINITY) return false;
    return this.#journals.discard(journal);
  }

  /**
   * Removes the positions of discarded journals. A position must stay while its journal exists, or the
   * journal would be stored again.
   */
  async #forgetDiscarded(writer: StorageWriter): Promise<void> {
    for (const [journal, { reader, losses }] of this.#readings) {
      if (this.#journals.all.includes(journal)) continue;
      if (journal.adoption?.isLost) {
        // Its position belongs to the process that adopted it.
        reader.close();
        losses.reportIfDue(true);
        this.#inFlight?.leave(journal.id);
        this.#positions?.leave(journal.id);
      } else await writer.forget(journal.id);
      this.#readings.delete(journal);
    }
  }

  /** Sets the record aside. Throws to be retried if that fails, for a limited time. */
  #reject({ journal, from, records }: Batch, error: unknown): void {
    const reason = reasonOf(error);
    const { label: storage } = this.#storage;
    const start = `${journal} ${from.position}`;
    // It was refused before, but the position could not be moved then.
    if (this.#lastRejected === start) return;
    const file = join(this.#data.directory, 'rejected.ndjson');
    try {
      appendRejected(file, { storage, reason, record: records.record(0) });
      this.#onProblem(new TrackUsageError('RECORD_REJECTED', { storage, reason, file }));
    } catch (failure) {
      this.#rejectFileFailingSince ??= monotonicClock.now();
      const isFull = failure instanceof RejectFileFull;
      if (!isFull && monotonicClock.now() - this.#rejectFileFailingSince < REJECT_FILE_TIMEOUT_MS)
        throw failure;
      this.#onProblem(
        new TrackUsageError('RECORD_DISCARDED', { storage, reason, file, why: reasonOf(failure) }),
      );
    }
    this.#lastRejected = start;
    this.#rejectFileFailingSince = undefined;
  }

  #nextBackoff(): number {
    const pause = this.#backoff;
    this.#backoff = Math.min(MAX_BACKOFF_MS, this.#backoff * 2);
    return pause;
  }

  #pause(ms: number): Promise<void> {
    if (this.#skipsPause || ms <= 0) return new Promise((resolve) => setImmediate(resolve));
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/**
 * Returns the end of the consecutive pieces in memory that contain `position`, or `undefined` if it is in a
 * file.
 */
function endOfMemory(pieces: readonly MemoryPiece[], position: number): number | undefined {
  let end: number | undefined;
  for (const { start, bytes } of pieces) {
    if (start <= (end ?? position) && (end ?? position) < start + bytes.length) end = start + bytes.length;
  }
  return end;
}
