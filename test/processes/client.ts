import { EventEmitter, once } from 'node:events';
import http from 'node:http';

/** Delay before a refused connection is retried, in ms. */
const REFUSED_PAUSE = 5;

/**
 * Clients that send one request after the other, each for a new path, until they are stopped. A refused connection
 * has no request, so the same path is retried, at the next port if there are several. A response that
 * is incomplete is noted in `cut`.
 */
export class Load {
  /** Paths with complete responses. */
  readonly received = new Set<string>();
  readonly cut = new Set<string>();
  refused = 0;
  /** Number of responses of each process, by its header `x-pid`. */
  readonly byPid = new Map<string, number>();
  readonly #agent: http.Agent;
  readonly #ports: readonly number[];
  readonly #emitter = new EventEmitter().setMaxListeners(0);
  readonly #clients: Promise<void>;
  #next = 0;
  #stopped = false;

  constructor(ports: number | readonly number[], connections = 16, keepAlive = true) {
    this.#ports = [ports].flat();
    this.#agent = new http.Agent({ keepAlive, maxSockets: connections });
    this.#clients = Promise.all(Array.from({ length: connections }, () => this.#client())).then(() => {});
  }

  /** Resolves when that many more responses have been received. */
  async more(responses: number): Promise<void> {
    const goal = this.received.size + responses;
    while (this.received.size < goal) await once(this.#emitter, 'received');
  }

  /** Resolves when this many processes have responded. */
  async processes(count: number): Promise<void> {
    while (this.byPid.size < count) await once(this.#emitter, 'received');
  }

  /** Resolves when no request is in progress. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#clients;
    this.#agent.destroy();
  }

  async #client(): Promise<void> {
    while (!this.#stopped) {
      this.#next += 1;
      const path = `/${this.#next}`;
      let turn = this.#next;
      let outcome = await this.#ask(turn, path);
      while (outcome === 'refused' && !this.#stopped) {
        this.refused += 1;
        await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE));
        turn += 1;
        outcome = await this.#ask(turn, path);
      }
      if (outcome === 'cut') this.cut.add(path);
      else if (outcome === 'received') {
        this.received.add(path);
        this.#emitter.emit('received');
      }
    }
  }

  #ask(turn: number, path: string): Promise<'received' | 'cut' | 'refused'> {
    const port = this.#ports[turn % this.#ports.length]!;
    return new Promise((resolve) => {
      const request = http.get({ host: '127.0.0.1', port, path, agent: this.#agent }, (response) => {
        response.resume();
        response.on('end', () => {
          if (!response.complete) return resolve('cut');
          const pid = String(response.headers['x-pid']);
          this.byPid.set(pid, (this.byPid.get(pid) ?? 0) + 1);
          resolve('received');
        });
        response.on('error', () => resolve('cut'));
      });
      // A connection that was passed to a dying worker gets no response.
      request.setTimeout(5_000, () => request.destroy());
      request.on('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'cut'),
      );
      request.on('close', () => resolve('cut'));
    });
  }
}
