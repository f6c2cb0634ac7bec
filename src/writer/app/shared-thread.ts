import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import type { TrackUsageError } from '../../errors.ts';
import { clearTimeout, monotonicClock, setTimeout } from '../../platform/clock.ts';
import { moduleUrl, startThread, threadRefusal } from '../../platform/threads.ts';
import type { OpenInstance, ToWriter, WriterData } from '../protocol.ts';

/** The first and the longest pause before a thread that stopped is started again. In ms. */
const FIRST_RESTART = 100;
const LAST_RESTART = 30_000;
/** Uptime after which a thread's failure is unrelated to the previous one. In ms. */
const STABLE = 1_000;
/** Grace period for an instance that did not close in time, while others use the thread. In ms. */
const ABANDON_TIMEOUT = 1_000;

/** A TrackUsage that the thread serves. */
export interface ThreadMember {
  /** Configuration that a starting thread gets. */
  data(): WriterData;
  /** A thread runs, and answers through the port. */
  started(port: MessagePort): void;
  /** The thread ended unexpectedly; another one starts soon. */
  stopped(failure: unknown): void;
  /** No thread can be started at the moment; it is tried again from time to time. */
  refused(error: TrackUsageError): void;
}

let current: SharedThread | undefined;

/**
 * The writer's thread of this process: one for all its TrackUsage instances, since each thread takes some 20 MB.
 * The first instance starts it and the last one ends it; it is restarted for all of them when it dies.
 */
export class SharedThread {
  readonly #members = new Set<ThreadMember>();
  #worker: Worker | undefined;
  #startedAt = 0;
  /** Reason why it ended, if known. */
  #failure: unknown;
  #restart: NodeJS.Timeout | undefined;
  #backoff = FIRST_RESTART;
  /** Number of callers that wait for the thread, and keep the process alive. */
  #holds = 0;

  /** Adds an instance to the process's thread, which is started where none runs. */
  static join(member: ThreadMember): SharedThread {
    current ??= new SharedThread();
    current.#members.add(member);
    if (current.#worker) current.#connect(member, current.#worker);
    else current.#start();
    return current;
  }

  /** Keeps the process alive until `release`. */
  hold(): void {
    this.#holds += 1;
    this.#worker?.ref();
    this.#restart?.ref();
  }

  release(): void {
    this.#holds -= 1;
    this.#unrefIfIdle();
  }

  /**
   * Removes an instance. When this resolves, the thread does nothing for it any more.
   * @param port Where its work in the thread has not ended: leads to it.
   */
  async leave(member: ThreadMember, port: MessagePort | undefined): Promise<void> {
    this.#members.delete(member);
    if (this.#members.size === 0) {
      if (current === this) current = undefined;
      clearTimeout(this.#restart);
      await this.#worker?.terminate();
    } else if (port && this.#worker) await this.#abandon(port);
  }

  /** Ends an instance's work in the thread, and begins it anew with what its `data` says now. */
  async reopen(member: ThreadMember, port: MessagePort): Promise<void> {
    // Two at a time would use the same writing ends. A thread that is ended for it is restarted, with the new data.
    if (!(await this.#abandon(port))) return;
    if (this.#worker && this.#members.has(member)) this.#connect(member, this.#worker);
  }

  /** Ends an instance's work in the thread, with the whole thread where need be; false for the latter. */
  async #abandon(port: MessagePort): Promise<boolean> {
    if (await abandon(port)) return true;
    // The records of the other instances are in their journals; the next thread goes on with them.
    this.#failure = 'another TrackUsage of this process could not be closed in time';
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
      // Only another configuration helps, or the end of an installation.
      for (const member of this.#members) member.refused(error as TrackUsageError);
      this.#startIn(LAST_RESTART);
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
    // Adding its listener has taken a reference; `hold` keeps the process alive by the thread itself.
    port1.unref();
  }

  #stopped(): void {
    this.#worker = undefined;
    if (this.#members.size === 0) return;
    for (const member of this.#members) member.stopped(this.#failure);
    if (monotonicClock.now() - this.#startedAt >= STABLE) this.#backoff = FIRST_RESTART;
    this.#startIn(this.#backoff);
    this.#backoff = Math.min(LAST_RESTART, this.#backoff * 2);
  }

  #startIn(pause: number): void {
    this.#restart = setTimeout(() => this.#start(), pause);
    this.#unrefIfIdle();
  }

  #unrefIfIdle(): void {
    if (this.#holds > 0) return;
    this.#worker?.unref();
    this.#restart?.unref();
  }
}

/** Ends an instance's work in the thread; whether that worked in time. */
async function abandon(port: MessagePort): Promise<boolean> {
  port.postMessage({ type: 'abandon' } satisfies ToWriter);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ABANDON_TIMEOUT);
    port.once('close', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
