import { EventEmitter, once } from 'node:events';
import http from 'node:http';

/** How long to wait before a refused connection is tried again. In ms. */
const REFUSED_PAUSE = 5;

/**
 * Clients that ask one after the other, each time for a path of its own, until they are stopped. A connection that is
 * refused was never asked for anything, so the same path is tried again, at the next port where there are several; a
 * response that did not come whole is noted in `cut`.
 */
export class Load {
  /** Paths whose responses were received to the last byte. */
  readonly received = new Set<string>();
  readonly cut = new Set<string>();
  refused = 0;
  /** How many responses each process gave, by what it sent as `x-pid`. */
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

  /** Resolves when so many processes have given responses. */
  async processes(count: number): Promise<void> {
    while (this.byPid.size < count) await once(this.#emitter, 'received');
  }

  /** Resolves when no request is under way any more. */
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
      // A connection that was handed to a worker at its death is never answered.
      request.setTimeout(5_000, () => request.destroy());
      request.on('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'cut'),
      );
      request.on('close', () => resolve('cut'));
    });
  }
}
