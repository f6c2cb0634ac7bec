import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import type { Journal } from '../../journal/journal.ts';
import {
  clearInterval,
  clearTimeout,
  monotonicClock,
  setInterval,
  setTimeout,
} from '../../platform/clock.ts';
import { plainError, reviveError } from '../../platform/threads.ts';
import type { RecordWriter } from '../../storage/writer.ts';
import type { FreeGeoIpStatus } from '../enrich/free-geo-ip-settings.ts';
import {
  type FromWriter,
  NOTHING_YET,
  type PipelineStatus,
  type StorageData,
  type ToWriter,
  type WriterData,
} from '../protocol.ts';
import { AppWriters } from './app-writers.ts';
import { HookQueue } from './hook-queue.ts';
import { SharedThread, type ThreadMember } from './shared-thread.ts';

/** Resolution of a measured lag. */
const SAMPLE_INTERVAL_MS = 200;
const MAX_SAMPLES = 10_000;

/** Fields of `PipelineStatus` that are not counts, or that a new thread reads from the storage. */
type Current = 'opened' | 'ordinal' | 'position' | 'overKeys' | 'pruneError' | 'error' | 'journalError';
type Counts = Omit<PipelineStatus, Current>;
/** Counts that a pipeline keeps since its start, and the client over all starts. */
const COUNTS = Object.keys({
  adopted: true,
  adoptedRejected: true,
  adoptedLost: true,
  rejected: true,
  lost: true,
  unhooked: true,
  overTexts: true,
  pruned: true,
} satisfies Record<keyof Counts, true>) as (keyof Counts)[];

/** Returns the plain data about a storage that the thread receives. */
export function dataOf(storage: RecordWriter): StorageData {
  const { label, module, positions, maxRecords, ephemeral, summaries, hooks, retention, maxKeys, maxTexts } =
    storage;
  return {
    label,
    module,
    options: storage.threadOptions(),
    positions,
    maxRecords,
    ephemeral,
    // Functions cannot be sent to another thread. Their results are in the journal.
    summaries: summaries.map(({ key, ...summary }) => summary),
    retention,
    maxKeys,
    maxTexts,
    hooked: hooks.length > 0,
  };
}

/** An instance's end of the writer's thread. Sends requests to the thread and waits for the results. */
export class WriterClient implements ThreadMember {
  /** Status of each storage; `undefined` until the thread has sent one. */
  readonly statuses: (PipelineStatus | undefined)[];
  /** Hook queue of each storage. */
  readonly hooks: readonly HookQueue[];
  /**
   * Per storage, records of this process that were received from another one, which had adopted the journal.
   */
  readonly handedOver: number[];
  /** Per storage, counts of threads that have stopped. */
  readonly #before: Counts[];
  /** Per storage, counts at the time when the current journal was started. */
  readonly #start: Pick<PipelineStatus, 'ordinal' | 'lost' | 'rejected'>[];
  /** `undefined` until the thread has sent one. */
  freeGeoIp: FreeGeoIpStatus | undefined;
  #freeGeoIpBefore = { requests: 0, failed: 0, missed: 0 };
  restarts = 0;
  readonly #data: Omit<WriterData, 'before'>;
  readonly #journal: Journal;
  readonly #onProblem: (error: Error) => void;
  readonly #appWriters: AppWriters;
  readonly #done = new Map<number, () => void>();
  readonly #checks = new Set<() => void>();
  /** Samples of the number of records, with their times. */
  readonly #samples: { time: number; records: number }[] = [];
  /**
   * Samples continually, because `status()` may never have been called and the thread reports only about once
   * per second.
   */
  readonly #sampling = setInterval(() => this.#sample(), SAMPLE_INTERVAL_MS).unref();
  readonly #thread: SharedThread;
  /** Port to this instance's part of the thread, while it runs. */
  #port: MessagePort | undefined;
  #lastId = 0;
  /** Reason why no thread can be started, if any. */
  #refusal: TrackUsageError | undefined;
  /** ID of the close request, once it is sent. */
  #closeId: number | undefined;
  #ended = false;

  constructor(
    data: Omit<WriterData, 'storages' | 'before'>,
    storages: readonly RecordWriter[],
    journal: Journal,
    onProblem: (error: Error) => void,
  ) {
    this.#data = { ...data, storages: storages.map(dataOf) };
    this.#appWriters = new AppWriters(storages);
    this.hooks = storages.map(
      (storage, number) =>
        new HookQueue(storage, (load) => this.#send({ type: 'called', storage: number, ...load }), onProblem),
    );
    this.#journal = journal;
    this.#onProblem = onProblem;
    this.statuses = storages.map(() => undefined);
    this.handedOver = storages.map(() => 0);
    this.#before = storages.map(() => NOTHING_YET);
    this.#start = storages.map(() => NOTHING_YET);
    journal.onStartOver = () => this.#startOver();
    journal.onMemoryPiece = (piece) => this.#send({ type: 'memory', piece });
    journal.onWritten = (position) => this.#send({ type: 'written', position });
    this.#thread = SharedThread.join(this);
  }

  /** Resolves when every storage has the current contents of the journal. Rejects after `timeout` ms. */
  flush(timeout: number): Promise<void> {
    return this.#request('flush', timeout);
  }

  /**
   * Like `flush`, and ends the thread's work for this instance. Returns false if that takes longer than
   * `timeout` ms. If the thread dies meanwhile, it is restarted.
   */
  async close(timeout: number): Promise<boolean> {
    this.#closeId = this.#lastId + 1;
    const until = monotonicClock.now() + timeout;
    let finished = false;
    if (!this.#refusal) {
      finished = await this.#request('close', timeout).then(
        () => true,
        () => false,
      );
    }
    this.#ended = true;
    clearInterval(this.#sampling);
    await this.#thread.leave(this, finished ? undefined : this.#port);
    this.#port?.close();
    await this.#waitForHooks(Math.max(0, until - monotonicClock.now()));
    if (!finished && !this.#refusal) {
      this.#onProblem(new TrackUsageError('TIMEOUT', { what: 'close', value: timeout }));
    }
    return finished;
  }

  /** Waits for the hooks, and keeps the process alive meanwhile. */
  async #waitForHooks(timeout: number): Promise<void> {
    if (this.hooks.every(({ pending }) => pending === 0)) return;
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeout);
    });
    await Promise.race([expired, Promise.all(this.hooks.map((queue) => queue.idle()))]);
    clearTimeout(timer);
  }

  /** Returns how long a storage has been behind, in s. */
  secondsBehind(storage: number): number {
    this.#sample();
    const stored = this.statuses[storage]?.ordinal ?? 0;
    const first = this.#samples.find(({ records }) => records > stored);
    return first ? Math.round(monotonicClock.now() - first.time) / 1000 : 0;
  }

  /** Samples the current number of records. */
  #sample(): void {
    const samples = this.#samples;
    const time = monotonicClock.now();
    if (time - (samples.at(-1)?.time ?? Number.NEGATIVE_INFINITY) < SAMPLE_INTERVAL_MS / 2) return;
    const { records } = this.#journal;
    const stored = Math.min(...this.statuses.map((status) => status?.ordinal ?? 0));
    while (samples[0] && samples[0].records <= stored) samples.shift();
    if (samples.length === MAX_SAMPLES || records <= Math.max(stored, samples.at(-1)?.records ?? 0)) return;
    samples.push({ time, records });
  }

  /** Resolves when every storage has been opened. Rejects with the error if one cannot be opened. */
  ready(): Promise<void> {
    return this.#waitFor((resolve, reject) => {
      const check = () => {
        const failed = this.statuses.find((status) => status?.error && !status.opened);
        const opened = this.statuses.every((status) => status?.opened);
        if (!failed && !opened) return;
        this.#checks.delete(check);
        if (failed) reject(reviveError(failed.error!));
        else resolve();
      };
      this.#checks.add(check);
      check();
    });
  }

  async #request(type: 'flush' | 'close', timeout: number): Promise<void> {
    if (this.#refusal) throw this.#refusal;
    const id = ++this.#lastId;
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.#waitFor((resolve, reject) => {
        this.#done.set(id, resolve);
        timer = setTimeout(
          () => reject(new TrackUsageError('TIMEOUT', { what: type, value: timeout })),
          timeout,
        );
        this.#send({ type, id });
      });
    } finally {
      clearTimeout(timer);
      this.#done.delete(id);
    }
  }

  /** Waits for the thread, and keeps the process alive meanwhile. */
  async #waitFor(start: (resolve: () => void, reject: (error: unknown) => void) => void): Promise<void> {
    this.#thread.keepAlive();
    try {
      await new Promise<void>(start);
    } finally {
      this.#thread.release();
    }
  }

  /**
   * Restarts the thread's work with a new journal. The process that adopted the old one stores its contents.
   */
  #startOver(): void {
    const { id, shared, recordsBefore } = this.#journal;
    this.#data.journal = id;
    this.#data.shared = shared.memory;
    this.#keepCounts();
    this.statuses.forEach((status, index) => {
      this.handedOver[index]! += Math.max(0, recordsBefore - (status?.ordinal ?? 0));
      if (status) this.statuses[index] = { ...status, ordinal: recordsBefore, position: 0 };
      this.#start[index] = this.statuses[index] ?? NOTHING_YET;
    });
    const port = this.#port;
    this.#port = undefined;
    if (port) void this.#thread.reopen(this, port);
  }

  /** Keeps the counts, because a restarted thread counts from 0. */
  #keepCounts(): void {
    this.statuses.forEach((status, index) => {
      if (status) this.#before[index] = status;
    });
    if (this.freeGeoIp) this.#freeGeoIpBefore = this.freeGeoIp;
  }

  #send(message: ToWriter): void {
    this.#port?.postMessage(message);
  }

  data(): WriterData {
    // Counts of the current journal only.
    const before = this.statuses.map((status, index) => {
      const { ordinal, lost, rejected } = this.#start[index]!;
      return (
        status && {
          ...status,
          ordinal: status.ordinal - ordinal,
          lost: status.lost - lost,
          rejected: status.rejected - rejected,
        }
      );
    });
    return { ...this.#data, before };
  }

  started(port: MessagePort): void {
    this.#refusal = undefined;
    this.#port = port;
    // Pieces that an earlier thread had in memory and no storage has yet, in order.
    for (const piece of this.#journal.memoryPieces()) this.#send({ type: 'memory', piece });
    for (const id of this.#done.keys()) this.#send({ type: id === this.#closeId ? 'close' : 'flush', id });
    port.on('message', (message: FromWriter) => {
      if (port === this.#port) this.#receive(message);
      else this.#receiveLast(message, port);
    });
  }

  stopped(failure: unknown): void {
    this.#detachPort();
    this.#keepCounts();
    if (this.#ended) return;
    this.restarts += 1;
    this.#onProblem(new TrackUsageError('WRITER_STOPPED', { reason: reasonOf(failure) }, { cause: failure }));
  }

  /** Called if no thread can be started. Reports the first such error. */
  refused(error: TrackUsageError): void {
    if (!this.#refusal) this.#onProblem(error);
    this.#refusal = error;
    this.statuses.forEach((status = NOTHING_YET, index) => {
      this.statuses[index] = { ...status, error: plainError(error) };
    });
    for (const check of this.#checks) check();
  }

  /** Receives the last messages of a dead thread. Later, they would be taken for messages of the next one. */
  #detachPort(): void {
    const port = this.#port;
    if (!port) return;
    this.#port = undefined;
    port.removeAllListeners('message');
    for (let message = receiveMessageOnPort(port); message; message = receiveMessageOnPort(port)) {
      this.#receive(message.message as FromWriter);
    }
    port.close();
  }

  /** Handles messages about a journal that another process has adopted. Its status is ignored. */
  #receiveLast(message: FromWriter, port: MessagePort): void {
    if (message.type === 'call')
      void this.#appWriters.answer(message).then((result) => port.postMessage({ type: 'result', ...result }));
    else if (message.type === 'stored') this.#receive(message);
  }

  #receive(message: FromWriter): void {
    if (message.type === 'status') {
      const before = this.#before[message.storage]!;
      const status = { ...message.status };
      for (const count of COUNTS) status[count] += before[count];
      // A thread that has not opened its storage knows less than the one before.
      const { recordsBefore } = this.#journal;
      if (status.opened) status.ordinal += recordsBefore;
      else status.ordinal = this.statuses[message.storage]?.ordinal ?? recordsBefore;
      this.statuses[message.storage] = status;
      this.#sample();
      for (const check of this.#checks) check();
    } else if (message.type === 'free-geo-ip') {
      const before = this.#freeGeoIpBefore;
      const { requests, failed, missed, paused } = message.status;
      this.freeGeoIp = {
        requests: before.requests + requests,
        failed: before.failed + failed,
        missed: before.missed + missed,
        paused,
      };
    } else if (message.type === 'problem') {
      if (message.error.code === 'JOURNAL_GONE') this.#journal.reopen();
      this.#onProblem(reviveError(message.error));
    } else if (message.type === 'taken') {
      this.#journal.confirm();
    } else if (message.type === 'call') {
      void this.#appWriters.answer(message).then((result) => this.#send({ type: 'result', ...result }));
    } else if (message.type === 'stored') {
      this.hooks[message.storage]!.add(message.records, message.units);
    } else {
      // The thread ends after its last reply, possibly before the caller resumes.
      if (message.id === this.#closeId) this.#ended = true;
      this.#done.get(message.id)?.();
    }
  }
}
