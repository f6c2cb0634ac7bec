import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { RecordBatch, RecordBatchData } from '../../batch.ts';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { isFileProblem } from '../../journal/files.ts';
import type { MemoryPiece } from '../../journal/pieces.ts';
import type { Cursor } from '../../journal/position.ts';
import { JournalReader, type ReadReport } from '../../journal/reader.ts';
import type { SegmentHeader } from '../../journal/segment.ts';
import { clearTimeout, monotonicClock, setImmediate, setTimeout } from '../../platform/clock.ts';
import { checkModule, plainError } from '../../platform/threads.ts';
import type { Batch, StorageModule, StorageWriter, WriterContext } from '../../storage/contract.ts';
import { isReplaced, StorageReplaced } from '../../storage/replaced.ts';
import { fold } from '../../summaries/fold.ts';
import { calendar } from '../../summaries/periods.ts';
import type { Enricher } from '../enrich/enricher.ts';
import {
  type HookLoad,
  type LaneStatus,
  NOTHING_YET,
  type StorageData,
  type WriterData,
} from '../protocol.ts';
import { BatchFiller, MAX_RECORDS } from './batch-builder.ts';
import { OwnSummaries } from './custom-summaries.ts';
import { HookRoom } from './hook-quota.ts';
import { type FilledBatch, InFlight } from './in-flight.ts';
import { JournalPositions } from './journal-positions.ts';
import type { HeldJournal, Journals } from './journals.ts';
import { counting, type Losses, LossReport, NO_LOSSES } from './losses.ts';
import { RejectFileFull, setAside } from './reject-file.ts';
import { type AppCalls, RemoteWriter } from './remote-writer.ts';
import { Shortfall } from './shortfall.ts';
import type { Traffic } from './traffic.ts';

/** How often an idle lane looks for records. In ms. */
const IDLE_POLL = 100;
/** How long it lets records gather once there are some: fewer, larger batches cost the app less. In ms. */
const GATHER = 1_000;
/** How often an idle lane checks that its database is still at its place. In ms. */
const CHECK_INTERVAL = 1_000;
/** The first and the longest pause after a failure. In ms. */
const FIRST_BACKOFF = 100;
const LAST_BACKOFF = 5_000;
/** Maximum time that a refused record that cannot be set aside delays the records behind it. In ms. */
const SET_ASIDE_PATIENCE = 30_000;

const START: Cursor = { position: 0, ordinal: 0 };

interface Reading {
  reader: JournalReader;
  header: SegmentHeader | undefined;
  /** Where the storage is, as far as it is known; asked anew after every failure. */
  cursor: Cursor | undefined;
  /** The furthest that the storage was known to be. When it is behind that, it is another database, or an older copy. */
  reached: Cursor;
  /** The furthest ever: what is read again before it was given to hooks, and its losses were reported. */
  furthest: number;
  /** Records that this thread stored and that are not known to be gone. */
  stored: number;
  readonly shortfall: Shortfall;
  /** Whether a batch may be stored in part. */
  isTried: boolean;
  /** Whether the database was found to be another one since the storage was asked last. */
  isReplaced: boolean;
  readonly losses: LossReport;
  /** Whether this thread has stored nothing of it yet. */
  isFirst: boolean;
  /** Why the journal could not be read or deleted at the last try. */
  failure: TrackUsageError | undefined;
  /** When it is tried again, and the pause after the next failure. In ms. */
  retryAt: number;
  backoff: number;
}

/**
 * Carries the journals into one storage, at its pace: whatever happens to one storage, the others' lanes go on.
 */
export class Lane {
  readonly status: LaneStatus = { ...NOTHING_YET };
  readonly #number: number;
  readonly #storage: StorageData;
  readonly #data: WriterData;
  readonly #journals: Journals;
  readonly #traffic: Traffic;
  readonly #own: OwnSummaries;
  readonly #filler: BatchFiller;
  readonly #readings = new Map<HeldJournal, Reading>();
  readonly #onStatus: () => void;
  readonly #onProblem: (error: TrackUsageError) => void;
  readonly #onStored: (records: RecordBatchData, units: number) => void;
  readonly #calls: AppCalls;
  readonly #hookRoom = new HookRoom();
  #writer: StorageWriter | undefined;
  /** Where its writing end needs it. */
  #inFlight: InFlight | undefined;
  /** Where its writing end has no place for them. */
  #positions: JournalPositions | undefined;
  /** Whether the database was found to be another one, and nothing was stored since. */
  #isRenewing = false;
  #checked = Number.NEGATIVE_INFINITY;
  #backoff = FIRST_BACKOFF;
  #stopped = false;
  #forgetsOwn = false;
  #hurry = false;
  /** True if a caller waits for the round. */
  #urgent = false;
  /** Whether somebody waits for more than the round was begun for. */
  #wanted = false;
  #stored = 0;
  /** The journal and position of the record that was set aside last. */
  #setAside: string | undefined;
  /** Since when the reject file cannot be written. */
  #setAsideSince: number | undefined;
  #wake: () => void = () => {};

  constructor(
    number: number,
    data: WriterData,
    journals: Journals,
    traffic: Traffic,
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
    this.#traffic = traffic;
    this.#own = new OwnSummaries(this.#storage.summaries, onProblem);
    const { maxRecords = MAX_RECORDS, hooked } = this.#storage;
    // Hooks take no more at once.
    const most = hooked ? Math.min(maxRecords, MAX_RECORDS) : maxRecords;
    this.#filler = new BatchFiller(enricher, data.site, this.#own, most);
    this.#onStatus = onStatus;
    this.#onProblem = onProblem;
    this.#onStored = onStored;
    this.#calls = calls;
  }

  /** Works until `stop`. Never rejects. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      this.#urgent = this.#hurry;
      this.#hurry = false;
      const before = this.#stored;
      const began = monotonicClock.now();
      const failed = !(await this.#round());
      let pause = IDLE_POLL;
      if (failed) pause = this.#nextBackoff();
      else if (this.#stored > before) pause = Math.max(0, GATHER - (monotonicClock.now() - began));
      await this.#pause(pause);
    }
    for (const { reader, losses } of this.#readings.values()) {
      reader.close();
      losses.tell(true);
    }
    const writer = this.#writer;
    if (!writer) return;
    try {
      if (this.#forgetsOwn) await writer.forget(this.#journals.own.id);
      await writer.close();
    } catch {
      // A row too many in the storage: harmless.
    }
  }

  /** Ends the pause: somebody waits. */
  wake(): void {
    this.#hurry = true;
    this.#wanted = true;
    this.#wake();
  }

  /** Returns whether the storage has the own journal up to a position, as far as can be told now. */
  hasStored(position: number): boolean {
    const { opened, error, position: stored } = this.status;
    if (!opened || error || stored < position) return false;
    try {
      return this.#writer?.isReplaced?.() !== true;
    } catch {
      // The round finds out why, and tells of it.
      return false;
    }
  }

  /** The app's hooks are through with so much more. */
  called(load: HookLoad): void {
    this.#hookRoom.give(load);
  }

  /** Ends the work. `forgetsOwn`: the own journal is deleted, so the storage needs its position no more. */
  stop(forgetsOwn: boolean): void {
    this.#forgetsOwn = forgetsOwn;
    this.#stopped = true;
    this.wake();
  }

  /**
   * Gives the storage all that was there when it began; false where it failed. What comes meanwhile gathers for as
   * long as elsewhere: under load there is always some, and batches of a few records cost many times as much a record.
   */
  async #round(): Promise<boolean> {
    try {
      this.#writer ??= await this.#open();
      this.#check(this.#writer);
      const live = this.#journals.own.live!;
      let end = 0;
      let marked = Number.NEGATIVE_INFINITY;
      // One batch of each in turn: a long journal of a dead process does not keep the own one waiting.
      for (let progress = true; progress && !this.#stopped; ) {
        if (this.#wanted || monotonicClock.now() - marked >= GATHER) {
          this.#wanted = false;
          marked = monotonicClock.now();
          end = live.end;
        }
        progress = false;
        for (const journal of this.#journals.all) {
          if (!journal.live && this.#storage.ephemeral) continue;
          if (await this.#attempt(journal, this.#writer, end)) progress = true;
          // A storage may work without ever waiting; the thread's messages come in here.
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      await this.#forgetDiscarded(this.#writer);
      this.#isRenewing = false;
      this.#positions?.retry();
      this.#backoff = FIRST_BACKOFF;
      for (const { losses } of this.#readings.values()) losses.tell(false);
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
      // The storage may have committed and died before it said so: it knows where it is.
      for (const reading of this.#readings.values()) reading.cursor = undefined;
      const problem =
        error instanceof TrackUsageError
          ? error
          : new TrackUsageError(
              'STORAGE_FAILED',
              { storage: this.#storage.label, reason: reasonOf(error) },
              { cause: error },
            );
      // Reported when it has been opened again, with what was lost; at once where that did not help.
      const isReported = !isReplaced(error) || this.#isRenewing;
      if (isReplaced(error)) await this.#renew();
      this.status.error = plainError(isReplaced(error) ? problem : error);
      this.#onStatus();
      if (isReported) this.#onProblem(problem);
      return false;
    }
  }

  /** Throws where the database is no longer at its place: looked at now and then, and when somebody waits. */
  #check(writer: StorageWriter): void {
    if (!writer.isReplaced) return;
    const now = monotonicClock.now();
    if (!this.#wanted && now - this.#checked < CHECK_INTERVAL) return;
    this.#checked = now;
    if (writer.isReplaced()) {
      throw new StorageReplaced(`${this.#storage.label} is no longer at its place`);
    }
  }

  /** Has the storage opened again: what its writing end remembers is of the old database. */
  async #renew(): Promise<void> {
    this.#isRenewing = true;
    for (const reading of this.#readings.values()) reading.isReplaced = true;
    const writer = this.#writer;
    // One that resumes sets it up by itself.
    if (writer?.resume) return;
    this.#writer = undefined;
    try {
      await writer?.close();
    } catch {
      // It was of a database that is gone.
    }
  }

  async #open(): Promise<StorageWriter> {
    await this.#own.load();
    const { module, options, positions, label } = this.#storage;
    const { site, timeZone, durable, directory } = this.#data;
    const context: WriterContext = { site, timeZone, durable };
    if (module !== undefined) checkModule(module);
    const writer =
      module === undefined
        ? await RemoteWriter.open(this.#number, this.#calls, context)
        : await ((await import(module)) as StorageModule).openWriter(options, context);
    // Another process of these storages may have others in memory among them, or none.
    const number = this.#data.storages.slice(0, this.#number).filter(({ ephemeral }) => !ephemeral).length;
    const name = createHash('sha256').update(`${number} ${label}`).digest('hex').slice(0, 16);
    this.#inFlight = writer.replays ? new InFlight(directory, name, this.#onProblem) : undefined;
    if (positions === 'storage') return writer;
    this.#positions = new JournalPositions(writer, directory, name, this.#onProblem);
    return this.#positions;
  }

  /** As `#advance`. A journal whose files cannot be read or deleted is tried again later; the others go on. */
  async #attempt(journal: HeldJournal, writer: StorageWriter, end: number): Promise<boolean> {
    if (!this.#owns(journal)) return false;
    const reading = this.#readingOf(journal);
    if (monotonicClock.now() < reading.retryAt && !this.#urgent) return false;
    try {
      const progress = await this.#advance(journal, reading, writer, end);
      reading.failure = undefined;
      reading.backoff = FIRST_BACKOFF;
      return progress;
    } catch (error) {
      if (!isFileProblem(error)) throw error;
      reading.cursor = undefined;
      reading.failure = error;
      reading.retryAt = monotonicClock.now() + reading.backoff;
      reading.backoff = Math.min(LAST_BACKOFF, reading.backoff * 2);
      this.#onProblem(error);
      return false;
    }
  }

  /** Gives the storage one batch of a journal; false where there was none, or none that begins before `end`. */
  async #advance(
    journal: HeldJournal,
    reading: Reading,
    writer: StorageWriter,
    end: number,
  ): Promise<boolean> {
    if (!reading.cursor) {
      reading.cursor = await this.#locate(journal, reading, writer);
      this.#note(journal, reading.cursor);
    }
    const from = reading.cursor;
    if (journal.live && from.position >= end) return false;
    if (reading.reader.atEnd(from.position)) return this.#finish(journal, reading);
    const until = from.position < reading.furthest ? reading.furthest : Number.POSITIVE_INFINITY;
    reading.cursor = await this.#store(journal, reading, from, writer, until);
    if (!reading.cursor) return true;
    if (reading.cursor.position === from.position) return false;
    // Not where a position was read: a storage that takes no batch may well tell it.
    this.status.error = undefined;
    this.#isRenewing = false;
    reading.reached = reading.cursor;
    reading.furthest = Math.max(reading.furthest, reading.cursor.position);
    this.#note(journal, reading.cursor);
    return true;
  }

  /** Asks the storage where it is, and finds out when it is not what it was. */
  async #locate(journal: HeldJournal, reading: Reading, writer: StorageWriter): Promise<Cursor> {
    const { reached } = reading;
    const found = await writer.position(journal.id);
    const at = found ?? START;
    const isUnknown = found === undefined && (reached.position > 0 || reading.isTried);
    const isBehind = at.position < reached.position || (isUnknown && writer.resume !== undefined);
    // A file beside the journal tells more, or less, than what the writing end took.
    const isNone = this.#storage.positions === 'journal' || (!isBehind && !reading.isReplaced);
    if (!isNone && !writer.resume && !reading.isReplaced) {
      throw new StorageReplaced(`${this.#storage.label} is behind what was stored in it`);
    }
    let start = at;
    if (!isNone) {
      const isGone = writer.resume !== undefined && (isUnknown || reading.isReplaced);
      if (isGone) start = found ?? reached;
      // It may have been there all the time, without anything of this journal.
      const isOther = !isGone || found || (await writer.resume!(journal.id, reached));
      if (isOther) this.#countReplaced(journal, reading, start, isGone);
      reading.isReplaced = false;
      reading.isTried = false;
    }
    reading.reached = start;
    reading.furthest = Math.max(reading.furthest, start.position);
    return start;
  }

  /** Counts what went with the old database. @param isGone Whether all of it did, though the journal may hold some. */
  #countReplaced(journal: HeldJournal, reading: Reading, start: Cursor, isGone: boolean): void {
    const { reader, reached, shortfall } = reading;
    // Where all is gone, a batch that is under way begins at `reached`; otherwise what is there is read again.
    const from = isGone ? START : start;
    const first = isGone ? reached : reader.firstAt(start);
    const end = first.position < reached.position ? first : reached;
    // What was lost or refused by then had not been stored there.
    const lost = end.ordinal - from.ordinal - shortfall.between(from, end);
    const missed = isGone ? { lost: -lost, rejected: 0 } : shortfall.setBack(start);
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

  #readingOf(journal: HeldJournal): Reading {
    let reading = this.#readings.get(journal);
    if (!reading) {
      const reader = new JournalReader(journal.directory, journal.live, journal.memory);
      const before = (journal.live && this.#data.before[this.#number]) || NOTHING_YET;
      reading = {
        reader,
        header: undefined,
        cursor: undefined,
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
        backoff: FIRST_BACKOFF,
      };
      reading.shortfall.add(before, before);
      this.#readings.set(journal, reading);
    }
    return reading;
  }

  /**
   * Stores one batch from `from` on, of at most `maxRecords`; returns where the storage is then, or `undefined`
   * where it has to be asked. What the engine refuses is found by halves and set aside.
   */
  async #store(
    journal: HeldJournal,
    reading: Reading,
    from: Cursor,
    writer: StorageWriter,
    until: number,
    maxRecords = Number.POSITIVE_INFINITY,
  ): Promise<Cursor | undefined> {
    if (!this.#owns(journal)) return from;
    const filled = await this.#next(journal, reading, from, until, maxRecords);
    const { batch, losses } = filled;
    const { to } = batch;
    // Filling may have waited for a service.
    if (to.position === from.position || !this.#owns(journal)) return from;
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
      // Only now: what is tried again is refused again.
      if (journal.live) this.status.rejected += 1;
      else this.status.adoptedRejected += 1;
      reading.shortfall.add(to, { lost: 0, rejected: 1 });
      this.#lose(journal, reading, to, losses);
      return to;
    }
    this.#inFlight?.done(journal.id);
    reading.isFirst = false;
    reading.isTried = false;
    this.#stored += batch.records.length;
    reading.stored += batch.records.length;
    const isNew = to.position > reading.furthest;
    if (journal.live && this.#storage.hooked && isNew) this.#giveToHooks(batch.records);
    if (!journal.live) this.status.adopted += batch.records.length;
    this.#lose(journal, reading, to, losses);
    return to;
  }

  /** Counts what was missing, once the position behind it is committed: until then it is read again. */
  #lose(journal: HeldJournal, reading: Reading, to: Cursor, losses: Losses): void {
    const records = losses.damaged + losses.dropped;
    if (journal.live) this.status.lost += records;
    else this.status.adoptedLost += records;
    reading.shortfall.add(to, { lost: records, rejected: 0 });
    // What is read again for another database was reported when it was read first, or with the old database.
    if (to.position > reading.furthest) reading.losses.add(losses);
  }

  /** The next batch: the one on its way where there is one, and where the storage needs it, one that can come again. */
  async #next(
    journal: HeldJournal,
    reading: Reading,
    from: Cursor,
    until: number,
    maxRecords: number,
  ): Promise<FilledBatch> {
    const inFlight = this.#inFlight;
    const fill = (end: number, most: number) => this.#fill(journal, reading, from, end, most);
    if (!inFlight) return fill(until, maxRecords);
    const before = inFlight.load(journal.id, from);
    if (before) return before;
    let filled = await fill(until, reading.isFirst ? 1 : maxRecords);
    if (filled.batch.to.position === from.position || !this.#owns(journal)) return filled;
    if (inFlight.save(filled)) return filled;
    const memoryEnd = endOfMemory(journal.memory, from.position);
    if (memoryEnd === undefined) filled = await fill(until, 1);
    else if (filled.batch.to.position > memoryEnd) filled = await fill(memoryEnd, maxRecords);
    inFlight.keep(filled);
    return filled;
  }

  #giveToHooks(records: RecordBatch): void {
    const { length, units } = records;
    if (length === 0) return;
    if (this.#hookRoom.take({ records: length, units })) this.#onStored(records.toData(), units);
    else this.status.unhooked += length;
  }

  async #fill(
    journal: HeldJournal,
    reading: Reading,
    from: Cursor,
    until: number,
    maxRecords: number,
  ): Promise<FilledBatch> {
    const filler = this.#filler;
    const { site, serverName, timeZone } = this.#data;
    const { reader } = reading;
    reading.header ??= reader.header();
    filler.begin(reading.header ?? { site, serverName });
    // Behind a failure, or behind another storage's lane, the records are counted already.
    const { position } = this.#traffic;
    let counted = 0;
    const losses = { ...NO_LOSSES };
    const report: ReadReport = {
      ...counting(losses),
      gone: () => this.#onProblem(new TrackUsageError('JOURNAL_GONE', { value: journal.directory })),
    };
    const to = reader.read(
      from,
      until,
      (facts, behind) => {
        if (filler.isFull || filler.batch.length >= maxRecords) return false;
        filler.add(facts);
        if (behind <= position) counted += 1;
        return true;
      },
      report,
    );
    if (journal.live) this.#traffic.read(filler.batch, counted, from, to);
    const located = filler.locate();
    if (located) await located;
    filler.complete();
    const { batch: records } = filler;
    const deltas = fold(records, this.#storage.summaries, calendar(timeZone));
    const batch: Batch = { journal: journal.id, from, to, records, deltas };
    return { batch, losses };
  }

  #note(journal: HeldJournal, cursor: Cursor): void {
    this.#journals.commit(journal, this.#number, cursor.position);
    this.status.opened = true;
    if (journal.live) {
      this.status.position = cursor.position;
      this.status.ordinal = cursor.ordinal;
    }
    this.#onStatus();
  }

  /** Returns false for the own journal once another process may have adopted it: then that one stores it. */
  #owns(journal: HeldJournal): boolean {
    return !journal.live || this.#journals.ownership.holds();
  }

  /**
   * A dead process's journal is at its end here; the last storage to get there deletes it, and makes room for the next
   * one. Returns whether it did.
   */
  #finish(journal: HeldJournal, { reader, losses }: Reading): boolean {
    reader.close();
    losses.tell(true);
    journal.committed[this.#number] = Number.POSITIVE_INFINITY;
    if (journal.live || Math.min(...journal.committed) < Number.POSITIVE_INFINITY) return false;
    return this.#journals.discard(journal);
  }

  /** A position may go only when its journal is gone: without it the journal would be stored again. */
  async #forgetDiscarded(writer: StorageWriter): Promise<void> {
    for (const journal of this.#readings.keys()) {
      if (this.#journals.all.includes(journal)) continue;
      await writer.forget(journal.id);
      this.#readings.delete(journal);
    }
  }

  /** Sets the record aside. Throws where that fails, to be tried again; but not for ever. */
  #reject({ journal, from, records }: Batch, error: unknown): void {
    const reason = reasonOf(error);
    const { label: storage } = this.#storage;
    const place = `${journal} ${from.position}`;
    // It was refused before, and the position could not be moved then.
    if (this.#setAside === place) return;
    const file = join(this.#data.directory, 'rejected.ndjson');
    try {
      setAside(file, { storage, reason, record: records.record(0) });
      this.#onProblem(new TrackUsageError('RECORD_REJECTED', { storage, reason, file }));
    } catch (failure) {
      this.#setAsideSince ??= monotonicClock.now();
      const isFull = failure instanceof RejectFileFull;
      if (!isFull && monotonicClock.now() - this.#setAsideSince < SET_ASIDE_PATIENCE) throw failure;
      this.#onProblem(
        new TrackUsageError('RECORD_DISCARDED', { storage, reason, file, why: reasonOf(failure) }),
      );
    }
    this.#setAside = place;
    this.#setAsideSince = undefined;
  }

  #nextBackoff(): number {
    const pause = this.#backoff;
    this.#backoff = Math.min(LAST_BACKOFF, this.#backoff * 2);
    return pause;
  }

  #pause(ms: number): Promise<void> {
    if (this.#hurry || ms <= 0) return new Promise((resolve) => setImmediate(resolve));
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Where the run of pieces in memory ends that holds `position`; `undefined` where a file holds it. */
function endOfMemory(pieces: readonly MemoryPiece[], position: number): number | undefined {
  let end: number | undefined;
  for (const { start, bytes } of pieces) {
    if (start <= (end ?? position) && (end ?? position) < start + bytes.length) end = start + bytes.length;
  }
  return end;
}
