import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import type { TrackUsageError } from '../../errors.ts';
import { clearTimeout, monotonicClock, setTimeout } from '../../platform/clock.ts';
import { moduleUrl, startThread, threadRefusal } from '../../platform/threads.ts';
import type { OpenInstance, ToWriter, WriterData } from '../protocol.ts';

/** Bounds of the exponential backoff before a stopped thread is restarted. */
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 30_000;
/** Uptime after which a thread's failure is unrelated to the previous one. */
const STABLE_UPTIME_MS = 1_000;
/** Grace period for an instance that did not close in time, while others use the thread. */
const ABANDON_TIMEOUT_MS = 1_000;

/** A TrackUsage that uses the thread. */
export interface ThreadMember {
  /** Returns the configuration for a starting thread. */
  data(): WriterData;
  /** Called when a thread runs and can be reached through the port. */
  started(port: MessagePort): void;
  /** Called when the thread ended unexpectedly. Another one starts soon. */
  stopped(failure: unknown): void;
  /** Called when no thread can be started at the moment. Starting is retried. */
  refused(error: TrackUsageError): void;
}

let current: SharedThread | undefined;

/**
 * Writer's thread of this process, shared by all TrackUsage instances, because each thread takes about 20 MB.
 * The first instance starts it and the last one ends it. If it dies, it is restarted for all of them.
 */
export class SharedThread {
  readonly #members = new Set<ThreadMember>();
  #worker: Worker | undefined;
  #startedAt = 0;
  /** Reason why it ended, if known. */
  #failure: unknown;
  #restart: NodeJS.Timeout | undefined;
  #backoff = MIN_BACKOFF_MS;
  /** Number of callers that wait for the thread, and keep the process alive. */
  #keepAliveCount = 0;

  /** Adds an instance to the process's thread, and starts the thread if none runs. */
  static join(member: ThreadMember): SharedThread {
    current ??= new SharedThread();
    current.#members.add(member);
    if (current.#worker) current.#connect(member, current.#worker);
    else current.#start();
    return current;
  }

  /** Keeps the process alive until `release`. */
  keepAlive(): void {
    this.#keepAliveCount += 1;
    this.#worker?.ref();
    this.#restart?.ref();
  }

  release(): void {
    this.#keepAliveCount -= 1;
    this.#unrefIfIdle();
  }

  /**
   * Removes an instance. When this resolves, the thread does no more work for it.
   * @param port Port to its work in the thread, if that has not ended.
   */
  async leave(member: ThreadMember, port: MessagePort | undefined): Promise<void> {
    this.#members.delete(member);
    if (this.#members.size === 0) {
      if (current === this) current = undefined;
      clearTimeout(this.#restart);
      await this.#worker?.terminate();
    } else if (port && this.#worker) await this.#abandon(port);
  }

  /** Ends an instance's work in the thread, and restarts it with the current `data`. */
  async reopen(member: ThreadMember, port: MessagePort): Promise<void> {
    // The old work must end first, because both would use the same writing ends. If that ends the thread, it
    // is restarted with the new data.
    if (!(await this.#abandon(port))) return;
    if (this.#worker && this.#members.has(member)) this.#connect(member, this.#worker);
  }

  /** Ends an instance's work in the thread, if necessary by ending the thread. Returns false in that case. */
  async #abandon(port: MessagePort): Promise<boolean> {
    if (await abandon(port)) return true;
    // The records of the other instances are in their journals, and the next thread continues with them.
    this.#failure = 'another TrackUsage of this process did not close in time';
    await this.#worker?.terminate();
    return false;
  }

  #start(): void {
    clearTimeout(this.#restart);
    this.#restart = undefined;
    let worker: Worker;
    try {
      worker = startThread(moduleUrl('../../writer/thread/main', import.meta.url), {
        name: 'track-usage writer',
        resourceLimits: { maxYoungGenerationSizeMb: 8 },
      });
    } catch (error) {
      // Retried rarely, because usually only a change of configuration or installation helps.
      for (const member of this.#members) member.refused(error as TrackUsageError);
      this.#startIn(MAX_BACKOFF_MS);
      return;
    }
    this.#worker = worker;
    this.#startedAt = monotonicClock.now();
    this.#failure = 'it ended';
    worker.on('error', (error) => {
      this.#failure = error;
    });
    worker.on('exit', () => this.#stopped());
    this.#unrefIfIdle();
    for (const member of this.#members) this.#connect(member, worker);
  }

  #connect(member: ThreadMember, worker: Worker): void {
    const { port1, port2 } = new MessageChannel();
    try {
      worker.postMessage({ port: port2, data: member.data() } satisfies OpenInstance, [port2]);
    } catch (error) {
      port1.close();
      member.refused(threadRefusal('its options', error));
      return;
    }
    member.started(port1);
    // Adding its listener referenced the port. `keepAlive` keeps the process alive through the thread itself.
    port1.unref();
  }

  #stopped(): void {
    this.#worker = undefined;
    if (this.#members.size === 0) return;
    for (const member of this.#members) member.stopped(this.#failure);
    if (monotonicClock.now() - this.#startedAt >= STABLE_UPTIME_MS) this.#backoff = MIN_BACKOFF_MS;
    this.#startIn(this.#backoff);
    this.#backoff = Math.min(MAX_BACKOFF_MS, this.#backoff * 2);
  }

  #startIn(pause: number): void {
    this.#restart = setTimeout(() => this.#start(), pause);
    this.#unrefIfIdle();
  }

  #unrefIfIdle(): void {
    if (this.#keepAliveCount > 0) return;
    this.#worker?.unref();
    this.#restart?.unref();
  }
}

/** Ends an instance's work in the thread. Returns false if that takes too long. */
async function abandon(port: MessagePort): Promise<boolean> {
  port.postMessage({ type: 'abandon' } satisfies ToWriter);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ABANDON_TIMEOUT_MS);
    port.once('close', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
