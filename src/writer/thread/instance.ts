import type { MessagePort } from 'node:worker_threads';
import { reasonOf, TrackUsageError } from '../../errors.ts';
import { emptyJournal, enforceLimit } from '../../journal/directory.ts';
import { BEAT_INTERVAL_MS } from '../../journal/heartbeat.ts';
import { releasePieces } from '../../journal/pieces.ts';
import { SharedState } from '../../journal/shared.ts';
import { clearInterval, setInterval } from '../../platform/clock.ts';
import { isFileProblem } from '../../platform/files.ts';
import { plainError } from '../../platform/threads.ts';
import { Enricher } from '../enrich/enricher.ts';
import type { FreeGeoIp } from '../enrich/free-geo-ip.ts';
import { openGeo } from '../enrich/geo.ts';
import type { FromWriter, ToWriter, WriterData } from '../protocol.ts';
import { Journals } from './journals.ts';
import { AppCalls } from './remote-writer.ts';
import { StoragePipeline } from './storage-pipeline.ts';

/** Interval of checks for completed segments. */
const LIMIT_INTERVAL_MS = 100;

/** Starts to write the records of a TrackUsage. */
export async function openInstance(port: MessagePort, data: WriterData): Promise<void> {
  const onProblem = (error: TrackUsageError) =>
    port.postMessage({ type: 'problem', error: plainError(error) });
  // Loaded only if used: the HTTP client costs memory and time.
  const service =
    data.freeGeoIp && new (await import('../enrich/free-geo-ip.ts')).FreeGeoIp(data.freeGeoIp, onProblem);
  new Instance(port, data, service, onProblem);
}

/**
 * Work of the thread for one TrackUsage. Reads its journals, enriches and folds the records, and passes
 * batches to each storage.
 */
class Instance {
  readonly #port: MessagePort;
  readonly #data: WriterData;
  readonly #shared: SharedState;
  readonly #journals: Journals;
  readonly #service: FreeGeoIp | undefined;
  readonly #calls: AppCalls;
  readonly #onProblem: (error: TrackUsageError) => void;
  readonly #pipelines: readonly StoragePipeline[];
  readonly #heartbeat: NodeJS.Timeout;
  readonly #limit: NodeJS.Timeout;
  readonly #running: Promise<unknown>;
  readonly #waiting: { id: number; end: number }[] = [];
  #closing = false;

  constructor(
    port: MessagePort,
    data: WriterData,
    service: FreeGeoIp | undefined,
    onProblem: (error: TrackUsageError) => void,
  ) {
    this.#port = port;
    this.#data = data;
    this.#service = service;
    this.#onProblem = onProblem;
    this.#shared = new SharedState(data.shared);
    this.#journals = new Journals(
      data.directory,
      data.journal,
      this.#shared,
      data.storages.map(({ ephemeral }) => ephemeral),
      onProblem,
    );
    this.#calls = new AppCalls((call) => this.#send({ type: 'call', ...call }));
    const enricher = new Enricher(this.#geo(), service);
    this.#pipelines = data.storages.map(
      (_, storage) =>
        new StoragePipeline(storage, data, this.#journals, enricher, this.#calls, {
          onStatus: () => this.#onStatus(storage),
          onProblem,
          onStored: (records, units) => this.#send({ type: 'stored', storage, records, units }),
        }),
    );
    this.#beat();
    this.#heartbeat = setInterval(() => this.#beat(), BEAT_INTERVAL_MS);
    this.#shared.limited = Math.max(0, this.#shared.limited);
    this.#limit = setInterval(() => this.#enforceLimit(), LIMIT_INTERVAL_MS);
    this.#running = Promise.all(this.#pipelines.map((pipeline) => pipeline.run()));
    port.on('message', (message: ToWriter) => this.#receive(message));
  }

  #send(message: FromWriter): void {
    this.#port.postMessage(message);
  }

  #receive(message: ToWriter): void {
    switch (message.type) {
      case 'result':
        this.#calls.answer(message);
        return;
      case 'called':
        this.#pipelines[message.storage]!.called(message);
        return;
      case 'memory': {
        const { bytes } = message.piece;
        const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        this.#journals.own.memory.push({ ...message.piece, bytes: view });
        return;
      }
      case 'written':
        releasePieces(this.#journals.own.memory, message.position);
        return;
      case 'abandon':
        void this.#end(false);
        return;
      default:
        this.#waiting.push({ id: message.id, end: this.#shared.end });
        for (const pipeline of this.#pipelines) pipeline.wake();
        if (message.type === 'close') this.#closing = true;
        this.#answer();
    }
  }

  #beat(): void {
    const found = this.#journals.beat();
    if (found === 'gone')
      this.#onProblem(new TrackUsageError('JOURNAL_GONE', { value: this.#journals.own.directory }));
    else if (found === 'taken') this.#send({ type: 'taken' });
  }

  /** Enforces the journals' size limit after each completed segment. */
  #enforceLimit(): void {
    const { rotations } = this.#shared;
    if (rotations === this.#shared.limited) return;
    this.#shared.limited = rotations;
    const { directory, maxBytes } = this.#data;
    const { dropped, error } = enforceLimit(directory, maxBytes);
    if (dropped > 0) this.#onProblem(new TrackUsageError('JOURNAL_FULL', { value: maxBytes }));
    if (error) this.#onProblem(error);
  }

  #onStatus(storage: number): void {
    if (this.#service) this.#send({ type: 'free-geo-ip', status: this.#service.status });
    this.#send({ type: 'status', storage, status: this.#pipelines[storage]!.status });
    this.#answer();
  }

  /** Replies to requests whose records every storage has stored. */
  #answer(): void {
    const isStored = ({ end }: { end: number }) =>
      this.#pipelines.every((pipeline) => pipeline.hasStored(end));
    for (const waiting of this.#waiting.filter(isStored)) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      if (this.#closing && this.#waiting.length === 0) void this.#close(waiting.id);
      else this.#send({ type: 'done', id: waiting.id });
    }
  }

  async #close(id: number): Promise<void> {
    await this.#end(this.#emptyOwn(), id);
  }

  /**
   * Deletes the own journal's records. If that fails, its positions must stay: the app's end retries, or the
   * next process adopts it and finds it stored.
   */
  #emptyOwn(): boolean {
    try {
      return emptyJournal(this.#journals.own.directory);
    } catch (error) {
      if (!isFileProblem(error)) throw error;
      this.#onProblem(error);
      return false;
    }
  }

  /**
   * Ends the work.
   * @param forgetsOwn True if the own journal is deleted, so that storages can remove its position.
   */
  async #end(forgetsOwn: boolean, id?: number): Promise<void> {
    for (const pipeline of this.#pipelines) pipeline.stop(forgetsOwn);
    await this.#running;
    clearInterval(this.#heartbeat);
    clearInterval(this.#limit);
    this.#journals.release();
    if (id !== undefined) this.#send({ type: 'done', id });
    this.#port.close();
  }

  /** Opens the database. An unreadable one only disables countries. */
  #geo() {
    try {
      return openGeo(this.#data.geo);
    } catch (error) {
      this.#onProblem(
        error instanceof TrackUsageError
          ? error
          : new TrackUsageError('GEO_UNREADABLE', { value: 'geo', reason: reasonOf(error) }),
      );
      return undefined;
    }
  }
}
