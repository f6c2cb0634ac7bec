import { show, TrackUsageError } from '../errors.ts';
import type { Exchange } from './exchange.ts';

/** Which requests are tracked: all but those that are marked, or those alone. */
export const VIEWS = ['exclude', 'include'] as const;
export type Views = (typeof VIEWS)[number];

/**
 * What `exclude` and `include` mark: a path (`/health`), everything below one (`/admin/*`), a route's pattern as the
 * framework has it (`/users/:id`), paths by a RegExp, or a route's handler.
 */
export type Mark = string | RegExp | ((...args: never[]) => unknown);

/** Requests that are marked; by Flask-Track-Usage's code, only the marks of the mode count. */
export class MarkedViews {
  readonly #mode: Views;
  readonly #texts = new Set<string>();
  readonly #prefixes: string[] = [];
  readonly #patterns: RegExp[] = [];
  readonly #handlers = new Set<unknown>();
  #any = false;

  constructor(mode: Views) {
    this.#mode = mode;
  }

  /** Adds a mark, which has an effect in its own mode alone. Throws for what is none. */
  add(mode: Views, mark: Mark): void {
    if (typeof mark === 'string' && mark.startsWith('/')) {
      if (mode !== this.#mode) return;
      this.#texts.add(mark);
      if (mark.endsWith('/*')) this.#prefixes.push(mark.slice(0, -1));
    } else if (mark instanceof RegExp) {
      if (mode !== this.#mode) return;
      // With these flags a RegExp goes on where it stopped.
      this.#patterns.push(new RegExp(mark.source, mark.flags.replace(/[gy]/g, '')));
    } else if (typeof mark === 'function') {
      if (mode !== this.#mode) return;
      this.#handlers.add(mark);
    } else {
      throw new TrackUsageError('OPTION_INVALID', {
        name: mode,
        value: show(mark),
        expected: 'a path or pattern that begins with "/", a RegExp, or a handler',
      });
    }
    this.#any = true;
  }

  /** Whether the request becomes a record. To be asked when its route is known. */
  tracks(exchange: Exchange): boolean {
    if (!this.#any) return this.#mode === 'exclude';
    return this.#isMarked(exchange) === (this.#mode === 'include');
  }

  #isMarked({ request, reader, target }: Exchange): boolean {
    const query = target.indexOf('?');
    const path = query < 0 ? target : target.slice(0, query);
    if (this.#texts.has(path) || this.#texts.has(reader.route(request))) return true;
    for (const prefix of this.#prefixes) {
      if (path.startsWith(prefix) || path === prefix.slice(0, -1)) return true;
    }
    for (const pattern of this.#patterns) if (pattern.test(path)) return true;
    return this.#handlers.size > 0 && reader.handlers(request).some((handler) => this.#handlers.has(handler));
  }
}
