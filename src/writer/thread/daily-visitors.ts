import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { BoundedCache } from '../../platform/cache.ts';
import { wallClock } from '../../platform/clock.ts';
import type { StorageWriter } from '../../storage/contract.ts';
import { DAILY_VISITOR } from '../../storage/visitors.ts';
import type { Calendar } from '../../summaries/periods.ts';

const KEY_BYTES = 32;
const ID_BYTES = 16;
/** Number of IDs per generation of the cache. At most about 6 MB. */
const CACHED_IDS = 10_000;

/** Settings of daily visitors. */
export interface DailySettings {
  /** Secret from which the keys are derived. Without one, they are random, and kept by the storage. */
  secret: string | undefined;
}

/**
 * Identifies visitors by a keyed hash of address, user agent and site. The key of a day is destroyed when the day
 * after it is over. After that, nobody can determine whose ID it was, and late records of that day have no visitor.
 */
export class DailyVisitors {
  readonly #settings: DailySettings;
  readonly #site: string;
  readonly #calendar: Calendar;
  /** Keys by the start of their day. `undefined` if the storage cannot keep one. */
  readonly #keys = new Map<number, KeyObject | undefined>();
  readonly #ids = new BoundedCache<string, string>(CACHED_IDS);
  /** Start of the day of `#key`, and of the IDs in the cache. */
  #day = Number.NaN;
  #key: KeyObject | undefined;
  /** Start of the current day, when keys were last destroyed. */
  #today = Number.NaN;
  /** Start of the day whose key is required next. */
  #wanted: number | undefined;

  constructor(settings: DailySettings, site: string, calendar: Calendar) {
    this.#settings = settings;
    this.#site = site;
    this.#calendar = calendar;
  }

  /** True if a record was refused because the key of its day must be loaded. */
  get isWaiting(): boolean {
    return this.#wanted !== undefined;
  }

  /** Prepares for the IDs of a date. Returns false if the key must be loaded first. */
  knows(date: number): boolean {
    const day = this.#calendar.dayOf(date);
    if (day === this.#day) return true;
    if (!this.#keys.has(day)) {
      const { secret } = this.#settings;
      if (secret !== undefined) this.#keys.set(day, this.#derive(secret, day));
      else if (day < this.#oldest()) this.#keys.set(day, undefined);
      else {
        this.#wanted = day;
        return false;
      }
    }
    this.#day = day;
    this.#key = this.#keys.get(day);
    this.#ids.clear();
    return true;
  }

  /** Returns the ID of the visitor on the day that was passed to `knows`, or `null` if there is none. */
  idOf(address: string, agent: string): string | null {
    if (this.#key === undefined || address === '') return null;
    const visitor = `${this.#site}\0${address}\0${agent}`;
    let id = this.#ids.get(visitor);
    if (id === undefined) {
      const hash = createHmac('sha256', this.#key).update(visitor).digest();
      id = DAILY_VISITOR + hash.toString('hex', 0, ID_BYTES);
      this.#ids.set(visitor, id);
    }
    return id;
  }

  /** Loads the key that `knows` required. */
  async load(writer: StorageWriter): Promise<void> {
    if (this.#wanted !== undefined) await this.#load(writer, this.#wanted);
  }

  /** Destroys old keys after midnight, even if there are no requests. Cheap within a day. */
  async renew(writer: StorageWriter): Promise<void> {
    const today = this.#calendar.dayOf(wallClock.now());
    if (today === this.#today) return;
    const oldest = this.#oldest();
    for (const day of this.#keys.keys()) if (day < oldest) this.#keys.delete(day);
    if (this.#day < oldest) this.reset();
    if (this.#settings.secret === undefined) await this.#load(writer, today);
    this.#today = today;
  }

  /** Forgets all keys, because the database may be another one. */
  reset(): void {
    this.#keys.clear();
    this.#ids.clear();
    this.#day = Number.NaN;
    this.#today = Number.NaN;
    this.#key = undefined;
    this.#wanted = undefined;
  }

  async #load(writer: StorageWriter, day: number): Promise<void> {
    const key = await writer.visitorKey?.({
      day: this.#dateOf(day),
      oldest: this.#dateOf(this.#oldest()),
      proposal: randomBytes(KEY_BYTES),
    });
    this.#keys.set(day, key && createSecretKey(key));
    if (this.#wanted === day) this.#wanted = undefined;
  }

  /** Returns the start of the oldest day that has a key: yesterday. */
  #oldest(): number {
    return this.#calendar.dayOf(this.#calendar.dayOf(wallClock.now()) - 1);
  }

  #derive(secret: string, day: number): KeyObject {
    const hash = createHmac('sha256', secret).update(
      `track-usage visitors\0${this.#site}\0${this.#dateOf(day)}`,
    );
    return createSecretKey(hash.digest());
  }

  /** Returns a local date: `2026-11-30`. */
  #dateOf(day: number): string {
    return this.#calendar.format(day).slice(0, 10);
  }
}
