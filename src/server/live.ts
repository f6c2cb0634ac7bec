import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout, wallClock } from '../platform/clock.ts';
import type { UsageStatus } from '../writer/app/status.ts';
import { type HandlerSource, shown } from './api.ts';

/** Server of a connection. */
interface Listener {
  listening?: boolean;
}

/** Interval of checks for stored data, in the process that writes it and in any other. */
const POLL_INTERVAL_MS = 1_000;
const STORAGE_POLL_INTERVAL_MS = 2_000;
/** Interval of pings on an idle stream. */
const PING_INTERVAL_MS = 15_000;
/** Maximum amount of unread data before a client is disconnected. In bytes. */
const MAX_BUFFERED_BYTES = 65_536;
/** Maximum duration of a stream. The dashboard then reconnects, if it is still authorized. In ms. */
const MAX_STREAM_DURATION = 60 * 60 * 1000;

/** Event streams of all open dashboards. They share one check, which only runs while any is open. */
export class LiveStreams {
  readonly #source: HandlerSource;
  readonly #limit: number;
  readonly #open = new Map<ServerResponse, { server: Listener | undefined; since: number }>();
  #timer: NodeJS.Timeout | undefined;
  #last = '';
  #lastSentAt = 0;

  constructor(source: HandlerSource, limit: number) {
    this.#source = source;
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.#open.size >= this.#limit;
  }

  /** Starts server-sent events, until the client leaves. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    // In HTTP/1 the connection ends with the stream, so that closing the server need not wait for it again.
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
      this.#schedule(0);
    }
  }

  #schedule(pause: number): void {
    this.#timer = setTimeout(() => void this.#check(), pause);
    // An open dashboard does not keep the process running, although its connection may.
    this.#timer.unref();
  }

  async #check(): Promise<void> {
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
      // The dashboard's own queries report the error.
    }
    const now = wallClock.now();
    const data = JSON.stringify({
      status: shown({ ...this.#source, status: () => status }),
      stored: stored ?? null,
    });
    if (data !== this.#last) {
      this.#last = data;
      this.#broadcast('usage', data, now);
    } else if (now - this.#lastSentAt >= PING_INTERVAL_MS) {
      this.#broadcast('ping', '{}', now);
    }
    this.#schedule(status ? POLL_INTERVAL_MS : STORAGE_POLL_INTERVAL_MS);
  }

  #broadcast(event: string, data: string, now: number): void {
    this.#lastSentAt = now;
    for (const response of this.#open.keys()) {
      if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy();
      else response.write(message(event, data));
    }
  }

  /**
   * Ends the streams of a closing server. It waits for its connections, and a dashboard must not keep the app
   * running.
   */
  #end(): void {
    for (const [response, { server, since }] of this.#open) {
      if (server?.listening === false || wallClock.now() - since > MAX_STREAM_DURATION) response.end();
    }
  }
}

function message(event: string, data: string): string {
  return `event: ${event}\ndata: ${data}\n\n`;
}
