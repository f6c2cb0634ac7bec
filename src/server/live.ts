import type { IncomingMessage, ServerResponse } from 'node:http';
import { type HandlerSource, shown } from './api.ts';

/** How often it is looked whether something was stored, and how often a stream without news shows that it lives. In ms. */
const LOOK = 1_000;
const LOOK_IN_STORAGE = 2_000;
const PING = 15_000;
/** What may wait for a client that does not read; then it is let go. In bytes. */
const MOST_WAITING = 65_536;

/** The event streams of the dashboards that are open: one look for all of them, and none without them. */
export class LiveStreams {
  readonly #source: HandlerSource;
  readonly #most: number;
  readonly #open = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;
  #last = '';
  #told = 0;

  constructor(source: HandlerSource, most: number) {
    this.#source = source;
    this.#most = most;
  }

  get isFull(): boolean {
    return this.#open.size >= this.#most;
  }

  /** Server-sent events, until the client leaves. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write('retry: 3000\n\n');
    this.#open.add(response);
    const end = () => this.#open.delete(response);
    response.on('close', end);
    response.on('error', end);
    request.on('error', end);
    if (this.#timer === undefined) {
      this.#last = '';
      this.#plan(0);
    }
  }

  #plan(pause: number): void {
    this.#timer = setTimeout(() => void this.#look(), pause);
    // An open dashboard keeps no process alive; its connection may.
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    if (this.#open.size === 0) {
      this.#timer = undefined;
      return;
    }
    const status = this.#source.status();
    let stored: number | undefined;
    try {
      stored = status
        ? status.storages.reduce((sum, { committed, adopted }) => sum + committed + adopted, 0)
        : (await this.#source.query.totals({ range: 'today' })).totals.hits;
    } catch {
      // The dashboard's own questions say what is wrong.
    }
    const now = Date.now();
    const data = JSON.stringify({ status: shown(status), stored: stored ?? null });
    if (data !== this.#last) {
      this.#last = data;
      this.#tell('usage', data, now);
    } else if (now - this.#told >= PING) {
      this.#tell('ping', '{}', now);
    }
    this.#plan(status ? LOOK : LOOK_IN_STORAGE);
  }

  #tell(event: string, data: string, now: number): void {
    this.#told = now;
    for (const response of this.#open) {
      if (response.writableLength > MOST_WAITING) response.destroy();
      else response.write(`event: ${event}\ndata: ${data}\n\n`);
    }
  }
}
