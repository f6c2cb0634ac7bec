import { mkdir, mkdirSync, rmSync } from 'node:fs';
import { reasonOf, TrackUsageError } from '../errors.ts';
import { clearTimeout, monotonicClock, processTime, setTimeout } from '../platform/clock.ts';
import { sampleThreadTime } from '../platform/thread-time.ts';
import { enforceLimit, prepareDirectory, removeJournal } from './directory.ts';
import { call, Disk } from './disk.ts';
import { beat, endHeartbeat, endHeartbeatLater, LEASE_MS, startHeartbeat } from './heartbeat.ts';
import { Pace } from './pace.ts';
import { type MemoryPiece, MemoryPieces } from './pieces.ts';
import type { SegmentHeader } from './segment.ts';
import { SegmentFile } from './segment-file.ts';
import type { SharedState } from './shared.ts';
import { Synchronizer } from './synchronizer.ts';

/** Interval of retries while no file can be written. */
const RETRY_INTERVAL_MS = 2_000;
/** Interval at which a slow disk is checked. */
const POLL_INTERVAL_MS = 50;
/**
 * Minimum duration of a stall that is reported even if the disk is fast afterward. A busy machine may cause
 * shorter ones.
 */
const LONG_STALL_MS = 1_000;
/** Number of bytes per write off the app's thread. */
const BATCH_BYTES = 1024 * 1024;
/** Maximum number of bytes in memory that the app's thread itself writes when it returns to the file. */
const REMAINDER_BYTES = 256 * 1024;
/**
 * Number of completed segments by which the writer's thread may lag in enforcing the journals' size limit.
 */
const MAX_UNENFORCED_SEGMENTS = 2;
/** Maximum time that `close` waits for a disk. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Location of a journal. */
export interface JournalLocation {
  path: string;
  shared: SharedState;
}

export interface SegmentWriterOptions {
  /** Directory of all journals of the identity. */
  directory: string;
  location: JournalLocation;
  /** True if the file is synchronized continually. */
  syncs: boolean;
  maxBytes: number;
  segmentBytes: number;
  memoryBytes: number;
  /** True if no file is written at all. */
  inMemory: boolean;
  maxBlockedMs: number;
  header: SegmentHeader;
  /**
   * Called when another process has adopted the journal, with the number of records lost with it. Returns the
   * location of a new journal.
   */
  onTaken(lost: number): JournalLocation;
  /** Called when writing continues in the new journal. */
  onStartOver(): void;
  onMemoryPiece(piece: MemoryPiece): void;
  /** Called when the pieces before a position are in a file. */
  onWritten(position: number): void;
  onProblem(problem: TrackUsageError): void;
}

/**
 * Writes the journal's bytes to its segments. It is in one of two states:
 *
 * - `file`: the app's thread appends. This is the normal state, and SIGKILL loses nothing.
 * - `memory`: the file system returned an error, or blocked the app's thread for too long (`pace.ts`). The
 *   app's thread does not access files. Records wait in bounded memory, from which the writer's thread stores
 *   them. `#recover` also writes them to the file, off the app's thread and one operation at a time. When all
 *   are written and the disk is fast again, the app's thread continues at the end of the file. SIGKILL loses
 *   the records that are only in memory.
 *
 * For the reader, a piece is either in memory or in the file, never in both. Once it is written, memory drops
 * it.
 */
export class SegmentWriter {
  /** Position after the last record, and number of records before it. */
  end = 0;
  ordinal = 0;
  readonly #options: SegmentWriterOptions;
  readonly #pieces: MemoryPieces;
  #location: JournalLocation;
  #disk = new Disk();
  #file: SegmentFile | undefined;
  #isRecovering = false;
  /** Ends the recovery's pause early. */
  #wake: () => void = () => {};
  readonly #pace: Pace;
  readonly #synchronizer: Synchronizer | undefined;
  /** Time that the app's thread was blocked, until it is reported. In ms. */
  #stall = 0;
  #lastProblem: string | undefined;
  #isClosed = false;

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
    this.#location = options.location;
    this.#pieces = new MemoryPieces(options.memoryBytes);
    this.#pace = new Pace(options.maxBlockedMs);
    if (options.syncs) this.#synchronizer = new Synchronizer(() => this.#sync());
    if (!options.inMemory) this.#openNext(() => false);
  }

  /** Number of times that the disk blocked the app's thread for more than `SLOW_MS`. */
  get slowAppends(): number {
    return this.#pace.slow;
  }

  get state(): 'file' | 'memory' | 'none' {
    if (this.#options.inMemory) return 'none';
    return this.#file === undefined || this.#isRecovering ? 'memory' : 'file';
  }

  /** Returns the pieces that neither a file nor every storage has. */
  memoryPieces(): readonly MemoryPiece[] {
    this.#pieces.release(this.#location.shared.committed);
    return this.#pieces.all;
  }

  /**
   * Accepts the first `length` bytes. Returns false if there is no room for them.
   * @param started Monotonic timestamp at which the caller began, in ms.
   */
  write(bytes: Buffer, length: number, records: number, started: number): boolean {
    sampleThreadTime(started);
    if (this.#file && !this.#isRecovering && this.#isLeaseOver(started)) {
      this.confirm();
      this.#checkPace(started);
    }
    if (!this.#toFile(bytes, length, started) && !this.#toMemory(bytes, length, records)) return false;
    this.end += length;
    this.ordinal += records;
    this.#location.shared.advance(this.end, this.ordinal);
    const file = this.#file;
    if (file && !this.#isRecovering && this.end - file.start >= this.#options.segmentBytes) this.#rotate();
    return true;
  }

  /** Continues in a new segment if the files were deleted. Acts like `confirm` if they were adopted. */
  reopen(): void {
    if (this.#isClosed || this.#options.inMemory) return;
    if (this.#beat() === 'taken') this.#startOver();
    else this.#recreate();
  }

  /**
   * Checks that no other process has adopted the journal, which may happen while this one is paused. Starts
   * another journal if one has.
   */
  confirm(): void {
    if (this.#isClosed) return;
    const state = this.#beat();
    if (state === 'taken') this.#startOver();
    if (state !== 'gone') return;
    this.#options.onProblem(new TrackUsageError('JOURNAL_GONE', { value: this.#location.path }));
    this.#recreate();
  }

  /** Makes a last attempt to write the records in memory when the process exits without `close`. */
  leave(): void {
    if (this.#isClosed || this.#disk.isStalled) return;
    try {
      if (this.#isRecovering && this.memoryPieces().length > 0) this.#writeLast();
      if (this.#location.shared.beat > 0) endHeartbeat(this.#location.path);
    } catch {
      // The records in memory are lost, and the reason was reported. Without the end of the heartbeat,
      // adoption takes longer.
    }
  }

  #writeLast(): void {
    if (!this.#file) {
      // An operation in progress may be about to create the file.
      if (this.#disk.isBusy) return;
      this.#prepare();
      this.#file = SegmentFile.create(this.#location.path, this.#next, this.#options.header, () => false);
    }
    this.#writeRemainder(this.#file);
  }

  /** Synchronously removes what the constructor created, because the app's constructor fails. */
  undo(): void {
    this.#isClosed = true;
    if (this.#options.inMemory) return;
    this.#file?.closeNow();
    try {
      rmSync(this.#location.path, { recursive: true, force: true });
    } catch {
      // An empty journal remains, which the next process adopts and deletes.
    }
  }

  /**
   * Stops writing. Unless the journal is discarded, another process can adopt it from then on.
   * @returns Number of lost records, which no file accepted in time.
   */
  async close({ discard }: { discard: boolean }): Promise<number> {
    if (!discard && !this.#options.inMemory && this.memoryPieces().length > 0) await this.#untilWritten();
    this.#isClosed = true;
    this.#wake();
    // `memoryPieces` has released the records that every storage has.
    const lost = discard || this.memoryPieces().length === 0 ? 0 : this.#pieces.records;
    this.#detachFile();
    if (this.#location.shared.beat === 0) return lost;
    const { path } = this.#location;
    const last = this.#disk.run(() => (discard ? removeJournal(path) : endHeartbeatLater(path)));
    await within(
      CLOSE_TIMEOUT_MS,
      last.catch((error: Error) => {
        // The next process adopts the rest. It deletes stored records, because the storages know their
        // positions.
        const { message: reason } = error;
        this.#report(new TrackUsageError('JOURNAL_UNDELETED', { value: path, reason }, { cause: error }));
      }),
    );
    return lost;
  }

  #toFile(bytes: Buffer, length: number, started: number): boolean {
    const file = this.#file;
    if (file === undefined || this.#isRecovering) return false;
    try {
      file.append(bytes, length, this.end);
    } catch (error) {
      this.#fail(error);
      return false;
    }
    this.#checkPace(started);
    this.#synchronizer?.written();
    return true;
  }

  #toMemory(bytes: Buffer, length: number, records: number): boolean {
    this.#pieces.release(this.#location.shared.committed);
    if (this.#isClosed || !this.#pieces.hasRoom(length)) return false;
    const copy = Buffer.allocUnsafeSlow(length);
    bytes.copy(copy, 0, 0, length);
    const piece = { start: this.end, ordinal: this.ordinal, records, bytes: copy };
    this.#pieces.add(piece);
    this.#options.onMemoryPiece(piece);
    return true;
  }

  /** Switches to memory if the disk has blocked the app's thread for too long. */
  #checkPace(started: number): void {
    const blocked = this.#pace.end(started);
    if (blocked === undefined) return;
    this.#stall = blocked;
    if (blocked >= LONG_STALL_MS) this.#reportStall();
    this.#recover(0);
  }

  #rotate(): void {
    const { started, isLate } = this.#pace.begin();
    this.#detachFile();
    const { shared } = this.#location;
    shared.rotations += 1;
    // Normally done by the writer's thread, because it is slow with many journals. Done here only if that
    // thread does not run or cannot keep up.
    const isThreadBehind = shared.limited < 0 || shared.rotations - shared.limited > MAX_UNENFORCED_SEGMENTS;
    if (isThreadBehind) this.#enforceLimit(isLate);
    if (!isLate()) this.#openNext(isLate);
    if (isLate()) this.#checkPace(started);
    // The recovery completes an unfinished head.
    if (!this.#file?.hasHead) this.#recover(0);
  }

  #enforceLimit(isLate: () => boolean): void {
    const { directory, maxBytes, onProblem } = this.#options;
    const { shared } = this.#location;
    if (shared.limited >= 0) shared.limited = shared.rotations;
    const { dropped, error } = enforceLimit(directory, maxBytes, isLate);
    if (dropped > 0) onProblem(new TrackUsageError('JOURNAL_FULL', { value: maxBytes }));
    if (error) this.#report(error);
  }

  /** Returns whether another process may have adopted the journal. */
  #isLeaseOver(now = monotonicClock.now()): boolean {
    return processTime(now) - this.#location.shared.beat > LEASE_MS;
  }

  #beat(): 'kept' | 'gone' | 'taken' {
    const { path, shared } = this.#location;
    try {
      return beat(path, shared);
    } catch (error) {
      this.#fail(error);
      return 'kept';
    }
  }

  /** Creates the journal's deleted files again. */
  #recreate(): void {
    this.#detachFile();
    this.#location.shared.beat = 0;
    this.#resume();
  }

  /** Leaves the journal to the process that has adopted it, and starts another one. */
  #startOver(): void {
    this.#abandonJournal();
    this.#resume();
  }

  #resume(): void {
    const { isLate } = this.#pace.begin();
    // A recovery in progress opens the next file itself, off the app's thread.
    if (!this.#isRecovering) this.#openNext(isLate);
    if (!this.#file?.hasHead) this.#recover(0);
    this.#wake();
  }

  #abandonJournal(): void {
    this.#detachFile();
    // The positions of records in memory refer to the abandoned journal, and only this process has them.
    const lost = this.memoryPieces().reduce((sum, { records }) => sum + records, 0);
    const { path } = this.#location;
    this.#options.onProblem(new TrackUsageError('JOURNAL_TAKEN', { value: path, records: lost }));
    this.#location = this.#options.onTaken(lost);
    this.#pieces.release(Number.POSITIVE_INFINITY);
    this.end = 0;
    this.ordinal = 0;
    this.#options.onStartOver();
  }

  /** Start of the next segment. */
  get #next(): { start: number; ordinal: number } {
    return this.memoryPieces()[0] ?? { start: this.end, ordinal: this.ordinal };
  }

  #openNext(isLate: () => boolean): void {
    try {
      this.#prepare();
      if (isLate()) return;
      this.#file = SegmentFile.create(this.#location.path, this.#next, this.#options.header, isLate);
      this.#lastProblem = undefined;
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Checks that the journal still exists and is ours. Otherwise stops using its files. Throws if the file
   * system returns another error.
   */
  #check(): void {
    if (!this.#isLeaseOver()) return;
    const { path, shared } = this.#location;
    const state = beat(path, shared);
    if (state === 'taken') this.#abandonJournal();
    if (state !== 'gone') return;
    this.#options.onProblem(new TrackUsageError('JOURNAL_GONE', { value: path }));
    this.#detachFile();
    shared.beat = 0;
  }

  /** Creates the journal's directory, if it was not created yet or was deleted. */
  #prepare(): void {
    this.#check();
    const { path, shared } = this.#location;
    if (shared.beat > 0) return;
    prepareDirectory(this.#options.directory);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    // The heartbeat comes before the first segment: a journal with records and no heartbeat may be adopted.
    startHeartbeat(path);
    shared.beat = processTime();
    this.#disk = Disk.of(path);
  }

  #detachFile(): void {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    const close = async () => {
      if (this.#options.syncs) await file.sync().catch((error: Error) => this.#reportUnsynced(error));
      await file.close();
    };
    void this.#disk.run(close).catch((error) => this.#report(error));
  }

  #reportUnsynced(error: Error): void {
    const { path: value } = this.#location;
    this.#report(new TrackUsageError('JOURNAL_UNSYNCED', { value, reason: error.message }, { cause: error }));
  }

  #fail(error: unknown): void {
    this.#detachFile();
    this.#report(error);
    this.#recover(RETRY_INTERVAL_MS);
  }

  /** Writes the records in memory until the app's thread can append again. */
  #recover(pause: number): void {
    if (this.#isRecovering || this.#isClosed) return;
    this.#isRecovering = true;
    void this.#recoverAfter(pause);
  }

  async #recoverAfter(first: number): Promise<void> {
    let pause = first;
    while (!this.#isClosed) {
      if (pause > 0) await this.#pause(pause);
      if (this.#isClosed) return;
      try {
        const isFast = await this.#catchUp();
        this.#lastProblem = undefined;
        if (!isFast) this.#reportStall();
        else if (this.#pace.mayReturn && this.#returnToFile()) return;
        pause = isFast && this.#pieces.bytes > 0 ? 0 : POLL_INTERVAL_MS;
      } catch (error) {
        if (!this.#isClosed) this.#report(error);
        this.#detachFile();
        pause = RETRY_INTERVAL_MS;
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Writes the records in memory, except some that arrive meanwhile. Returns true if the disk was fast. */
  async #catchUp(): Promise<boolean> {
    let isFast = true;
    const run = async <T>(operation: () => Promise<T>): Promise<T> => {
      const { value, isSlow } = await this.#disk.run(operation);
      if (isSlow) isFast = false;
      return value;
    };
    const { directory, header, segmentBytes } = this.#options;
    if (!this.#file) {
      await run(() => call<unknown>((done) => mkdir(directory, { recursive: true, mode: 0o700 }, done)));
      // Safe to do synchronously, because the disk has just responded.
      this.#prepare();
      this.#file = await run(() => SegmentFile.open(this.#location.path, this.#next, header));
      if (this.#isClosed) this.#detachFile();
    }
    const file = this.#file;
    if (!file) return false;
    await run(() => file.writeHead());
    this.#check();
    while (this.#file === file) {
      const batch = this.#pieces.batch(BATCH_BYTES);
      if (!batch) break;
      await run(() => file.write(batch.bytes, batch.start));
      this.#written(batch.end);
      if (batch.end - file.start >= segmentBytes) this.#detachFile();
      if (this.#pieces.bytes <= REMAINDER_BYTES) break;
    }
    return isFast;
  }

  /** Writes the small remainder and lets the app's thread append again. */
  #returnToFile(): boolean {
    const file = this.#file;
    if (!file || this.#pieces.bytes > REMAINDER_BYTES) return false;
    const { started } = this.#pace.begin();
    this.#writeRemainder(file);
    this.#isRecovering = false;
    this.#pace.returned();
    // If the disk was slow, another recovery has started.
    this.#checkPace(started);
    return true;
  }

  #writeRemainder(file: SegmentFile): void {
    for (let rest = this.#pieces.batch(BATCH_BYTES); rest; rest = this.#pieces.batch(BATCH_BYTES)) {
      file.append(rest.bytes, rest.bytes.length, rest.start);
      this.#written(rest.end);
    }
  }

  #written(position: number): void {
    this.#pieces.release(position);
    this.#options.onWritten(position);
    this.#synchronizer?.written();
  }

  /** Resolves when memory is empty, or after a timeout. */
  async #untilWritten(): Promise<void> {
    const until = monotonicClock.now() + CLOSE_TIMEOUT_MS;
    while (this.memoryPieces().length > 0 && monotonicClock.now() < until) {
      this.#wake();
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
  }

  #reportStall(): void {
    if (this.#stall === 0) return;
    const ms = Math.round(this.#stall);
    this.#stall = 0;
    this.#options.onProblem(new TrackUsageError('JOURNAL_SLOW', { value: this.#location.path, ms }));
  }

  #report(error: unknown): void {
    const reason = reasonOf(error);
    if (reason === this.#lastProblem) return;
    this.#lastProblem = reason;
    this.#options.onProblem(
      error instanceof TrackUsageError
        ? error
        : new TrackUsageError('JOURNAL_UNWRITABLE', { value: this.#location.path, reason }, { cause: error }),
    );
  }

  async #sync(): Promise<void> {
    const file = this.#file;
    if (file) await this.#disk.run(() => file.sync()).catch((error: Error) => this.#reportUnsynced(error));
  }
}

/** Waits for a promise, for at most `timeout` ms. */
async function within(timeout: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise((resolve) => {
    timer = setTimeout(resolve, timeout);
  });
  await Promise.race([expired, promise]);
  clearTimeout(timer);
}
