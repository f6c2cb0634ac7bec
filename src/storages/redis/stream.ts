import { ANY_DATE } from '../../storage/cursor.ts';
import { LATENESS } from './calls.ts';
import type { Server } from './client.ts';

/** Number of entries read per call. */
const ENTRIES_PER_CALL = 1_000;

/** A record in the stream. */
export interface Entry {
  /** Stream ID: `ms-number`. */
  id: string;
  /** Date in ms, never later than the ID. */
  date: number;
  json: string;
}

/** Stream of a site's records. Entries are in the order in which they were stored. */
export class RecordStream {
  readonly #server: Server;
  readonly #stream: string;
  readonly #late: string;
  readonly #end: string | undefined;

  /** @param end Last entry that `within` and `oldest` return. Defaults to the newest one. */
  constructor(server: Server, { stream, late }: { stream: string; late: string }, end?: string) {
    this.#server = server;
    this.#end = end;
    this.#stream = stream;
    this.#late = late;
  }

  /**
   * Returns the newest `count` records dated `from` to `to`, both inclusive and in ms.
   * @param before Returns only records that follow this one in the result's order.
   */
  async newest(from: number, to: number, count: number, before?: Entry): Promise<Entry[]> {
    const start = String(Math.max(0, Math.ceil(from)));
    let end = String(Math.floor(to) + (await this.lateness()));
    const found: Entry[] = [];
    for (let more = Number(start) <= Number(end); more; ) {
      const entries = await this.#read('XREVRANGE', end, start);
      const within = entries.filter(({ date }) => date >= from && date <= to);
      found.push(...(before ? within.filter((entry) => compare(entry, before) < 0) : within));
      const last = entries.at(-1);
      more = entries.length === ENTRIES_PER_CALL;
      end = `(${last?.id}`;
      // Remaining entries are not newer than this one's ID.
      if (found.length < count || !last) continue;
      if (found.filter(({ date }) => date > msOf(last.id)).length >= count) break;
    }
    // The sort is stable: within a millisecond, the entry stored last comes first.
    return found.sort((a, b) => b.date - a.date).slice(0, count);
  }

  /** Returns the ID of the newest entry, or one before all others if there is none. */
  async last(): Promise<string> {
    const [entry] = await this.#read('XREVRANGE', '+', '-', 1);
    return entry?.id ?? '0-0';
  }

  /** Returns the records dated `from` to `to` (both inclusive, in ms), in chunks and in stored order. */
  async *within(from: number, to: number): AsyncGenerator<Entry[]> {
    const end = String(Math.min(Math.floor(to), ANY_DATE.to) + (await this.lateness()));
    let start = String(Math.max(0, Math.ceil(from)));
    if (Number(start) > Number(end)) return;
    for (let more = true; more; ) {
      const entries = await this.#read('XRANGE', start, end);
      yield entries.filter(({ date }) => date >= from && date <= to);
      more = entries.length === ENTRIES_PER_CALL;
      start = `(${entries.at(-1)?.id}`;
    }
  }

  /**
   * Returns the oldest `count` records dated `from` to `to`, both inclusive and in ms.
   * @param after Returns only records that follow this one in the result's order.
   */
  async oldest(
    from: number,
    to: number,
    count: number,
    after?: Entry,
  ): Promise<{ entries: Entry[]; more: boolean }> {
    const lateness = await this.lateness();
    let start = String(Math.max(0, Math.ceil(from), after?.date ?? 0));
    const end = Math.min(Math.floor(to), ANY_DATE.to);
    if (end < Number(start)) return { entries: [], more: false };
    let found: Entry[] = [];
    let left = false;
    for (let more = true; more; ) {
      const entries = await this.#read('XRANGE', start, String(end + lateness));
      const within = entries.filter(({ date }) => date >= from && date <= end);
      found.push(...(after ? within.filter((entry) => compare(entry, after) > 0) : within));
      found.sort(compare);
      left ||= found.length > count;
      found = found.slice(0, count);
      const last = entries.at(-1);
      more = entries.length === ENTRIES_PER_CALL;
      start = `(${last?.id}`;
      // Remaining entries are newer than this one, or were stored later.
      if (last && left && found.at(-1)!.date <= msOf(last.id) - lateness) break;
    }
    return { entries: found, more: left };
  }

  /** Returns how much older than its ID a record may be. In ms. */
  async lateness(): Promise<number> {
    const [late, [first]] = await Promise.all([
      this.#server.send(this.#late, ['HMGET', this.#late, 'ms', 'until']),
      this.#read('XRANGE', '-', '+', 1),
    ]);
    const [ms, until] = late as [unknown, unknown];
    // The last late entry may already have been removed.
    if (until === null || !first || compareIds(first.id, String(until)) > 0) return LATENESS;
    return Math.max(LATENESS, Number(ms));
  }

  /** Returns an exclusive end of the records that were removed because there were too many, or `null`. In ms. */
  async trimmedBefore(): Promise<number | null> {
    const found = await this.#server.send(this.#late, ['HGET', this.#late, 'trimmed']);
    return found === null ? null : Number(found);
  }

  async #read(
    command: 'XRANGE' | 'XREVRANGE',
    from: string,
    to: string,
    count = ENTRIES_PER_CALL,
  ): Promise<Entry[]> {
    const args = [command, this.#stream, from, to, 'COUNT', String(count)];
    const answer = (await this.#server.send(this.#stream, args)) as [unknown, unknown[]][];
    const entries = answer.map(([id, [, date, , json]]) => ({
      id: String(id),
      date: Number(date),
      json: String(json),
    }));
    const end = this.#end;
    if (end === undefined || command === 'XREVRANGE') return entries;
    return entries.filter(({ id }) => compareIds(id, end) <= 0);
  }
}

function compare(a: Entry, b: Entry): number {
  return a.date - b.date || compareIds(a.id, b.id);
}

function compareIds(a: string, b: string): number {
  return msOf(a) - msOf(b) || Number(a.slice(a.indexOf('-') + 1)) - Number(b.slice(b.indexOf('-') + 1));
}

function msOf(id: string): number {
  return Number.parseInt(id, 10);
}
