import { ANY_DATE } from '../cursor.ts';
import { LATENESS } from './calls.ts';
import type { Server } from './client.ts';

/** Entries that are read at once. */
const PIECE = 1_000;

/** A record in the stream. */
export interface Entry {
  /** `ms-number`. */
  id: string;
  /** In ms; never later than the id. */
  date: number;
  json: string;
}

/** The stream of a site's records. Its entries lie in the order in which they came. */
export class RecordStream {
  readonly #server: Server;
  readonly #stream: string;
  readonly #late: string;

  constructor(server: Server, { stream, late }: { stream: string; late: string }) {
    this.#server = server;
    this.#stream = stream;
    this.#late = late;
  }

  /**
   * The newest so many of those dated `from` to `to`, both inclusive and in ms.
   * @param before Only those that come after this one.
   */
  async newest(from: number, to: number, count: number, before?: Entry): Promise<Entry[]> {
    const start = String(Math.max(0, Math.ceil(from)));
    let end = String(Math.floor(to) + (await this.#lateness()));
    const found: Entry[] = [];
    for (let more = Number(start) <= Number(end); more; ) {
      const entries = await this.#read('XREVRANGE', end, start);
      const within = entries.filter(({ date }) => date >= from && date <= to);
      found.push(...(before ? within.filter((entry) => compare(entry, before) < 0) : within));
      const last = entries.at(-1);
      more = entries.length === PIECE;
      end = `(${last?.id}`;
      // What is still to come is no younger than this one's id.
      if (found.length < count || !last) continue;
      if (found.filter(({ date }) => date > msOf(last.id)).length >= count) break;
    }
    // Stable: within a millisecond, the one that came last is the first.
    return found.sort((a, b) => b.date - a.date).slice(0, count);
  }

  /** Those dated `from` to `to`, both inclusive and in ms, in pieces and in the order in which they came. */
  async *within(from: number, to: number): AsyncGenerator<Entry[]> {
    const end = String(Math.min(Math.floor(to), ANY_DATE.to) + (await this.#lateness()));
    let start = String(Math.max(0, Math.ceil(from)));
    if (Number(start) > Number(end)) return;
    for (let more = true; more; ) {
      const entries = await this.#read('XRANGE', start, end);
      yield entries.filter(({ date }) => date >= from && date <= to);
      more = entries.length === PIECE;
      start = `(${entries.at(-1)?.id}`;
    }
  }

  /** The oldest so many of those that come after one in this order, or of all. */
  async oldest(after: Entry | undefined, count: number): Promise<{ entries: Entry[]; more: boolean }> {
    const lateness = await this.#lateness();
    let start = String(Math.max(0, after?.date ?? 0));
    let found: Entry[] = [];
    let left = false;
    for (let more = true; more; ) {
      const entries = await this.#read('XRANGE', start, '+');
      found.push(...(after ? entries.filter((entry) => compare(entry, after) > 0) : entries));
      found.sort(compare);
      left ||= found.length > count;
      found = found.slice(0, count);
      const last = entries.at(-1);
      more = entries.length === PIECE;
      start = `(${last?.id}`;
      // What is still to come is younger than this, or came later.
      if (last && left && found.at(-1)!.date <= msOf(last.id) - lateness) break;
    }
    return { entries: found, more: left };
  }

  /** How much older than its id a record may be. In ms. */
  async #lateness(): Promise<number> {
    const [late, [first]] = await Promise.all([
      this.#server.send(this.#late, ['HMGET', this.#late, 'ms', 'until']),
      this.#read('XRANGE', '-', '+', 1),
    ]);
    const [ms, until] = late as [unknown, unknown];
    // The last one that came so late may be gone by now.
    if (until === null || !first || compareIds(first.id, String(until)) > 0) return LATENESS;
    return Math.max(LATENESS, Number(ms));
  }

  async #read(command: 'XRANGE' | 'XREVRANGE', from: string, to: string, count = PIECE): Promise<Entry[]> {
    const args = [command, this.#stream, from, to, 'COUNT', String(count)];
    const answer = (await this.#server.send(this.#stream, args)) as [unknown, unknown[]][];
    return answer.map(([id, [, date, , json]]) => ({
      id: String(id),
      date: Number(date),
      json: String(json),
    }));
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
