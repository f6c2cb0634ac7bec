import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout, wallClock } from '../platform/clock.ts';
import type { UsageStatus } from '../tracker/status.ts';
import { type HandlerSource, shown } from './api.ts';

/** The server that a connection is of. */
interface Listener {
  listening?: boolean;
}

/** How often it is looked whether something was stored, and how often a stream without news shows that it lives. In ms. */
const LOOK = 1_000;
const LOOK_IN_STORAGE = 2_000;
const PING = 15_000;
/** What may wait for a client that does not read; then it is let go. In bytes. */
const MOST_WAITING = 65_536;
/** How long a stream lasts; then the dashboard comes again, if it still may. In ms. */
const LONGEST = 60 * 60 * 1000;

/** The event streams of the dashboards that are open: one look for all of them, and none without them. */
export class LiveStreams {
  readonly #source: HandlerSource;
  readonly #most: number;
  readonly #open = new Map<ServerResponse, { server: Listener | undefined; since: number }>();
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
    // With HTTP/1 the connection ends with the stream, so that a server that closes does not wait for it once more.
    if (request.httpVersionMajor === 1) response.shouldKeepAlive = false;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    response.write('retry: 3000\n\n');
    const { server } = request.socket as { server?: Listener };
    this.#open.set(response, { server, since: wallClock.now() });
    if (this.#last !== '') response.write(message('usage', this.#last));
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
    this.#end();
    let stored: number | undefined;
    let status: UsageStatus | null = null;
    try {
      status = this.#source.status();
      stored = status
        ? status.storages.reduce((sum, { committed, adopted }) => sum + committed + adopted, 0)
        : (await this.#source.query.totals({ range: 'today' })).totals.hits;
    } catch {
      // The dashboard's own questions say what is wrong.
    }
    const now = wallClock.now();
    const data = JSON.stringify({
      status: shown({ ...this.#source, status: () => status }),
      stored: stored ?? null,
    });
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
    for (const response of this.#open.keys()) {
      if (response.writableLength > MOST_WAITING) response.destroy();
      else response.write(message(event, data));
    }
  }

  /** A server that closes waits for its connections: an open dashboard must not keep the app from ending. */
  #end(): void {
    for (const [response, { server, since }] of this.#open) {
      if (server?.listening === false || wallClock.now() - since > LONGEST) response.end();
    }
  }
}

function message(event: string, data: string): string {
  return `event: ${event}\ndata: ${data}\n\n`;
}
