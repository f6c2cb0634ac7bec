import { RecordBatch } from '../../src/batch.ts';
import type { TextColumn } from '../../src/record.ts';
import { randomNumbers, zipf } from './random.ts';

/** Number of URLs that exist in every year, and of those that exist for a day. */
const PERMANENT_URLS = 400;
const DAILY_URLS = 20;
/** Number of addresses that return on every day, and share of requests from addresses seen on one day only. */
const ADDRESSES = 300;
const NEW_ADDRESSES = 0.2;
const AGENTS = 60;

/** Generates the requests of a site that changes: most URLs, addresses and visitors of a day never come back. */
export class Simulation {
  readonly #random = randomNumbers(20_261_130);
  readonly #urls = zipf(PERMANENT_URLS + DAILY_URLS, this.#random);
  readonly #addresses = zipf(ADDRESSES, this.#random);
  readonly #agents = zipf(AGENTS, this.#random);
  readonly #perDay: number;

  constructor(perDay: number) {
    this.#perDay = perDay;
  }

  /** Returns the records of a day. */
  day(number: number, start: number, length: number): RecordBatch {
    const batch = new RecordBatch(this.#perDay);
    const year = Math.floor(number / 365);
    for (let i = 0; i < this.#perDay; i++) {
      const url = this.#urls();
      const isNew = this.#random() < NEW_ADDRESSES;
      const who = isNew ? number * this.#perDay + i : this.#addresses();
      const at = batch.length++;
      batch.date[at] = start + Math.floor((i / this.#perDay) * length);
      batch.status[at] = this.#random() < 0.99 ? 200 : 500;
      batch.contentLength[at] = 500 + Math.floor(this.#random() * 20_000);
      batch.duration[at] = 300 + Math.floor(this.#random() * 30_000);
      const texts: Partial<Record<TextColumn, string>> = {
        serverName: 'shop',
        method: 'GET',
        protocol: 'HTTP/1.1',
        url: `https://shop.example.org${url < PERMANENT_URLS ? `/products/${url}` : `/news/${number}/${url}`}`,
        remoteAddr: isNew
          ? `2001:db8:${who.toString(16).padStart(8, '0').replace(/.{4}$/, ':$&')}::1`
          : `192.0.2.${who & 255}`,
        agent: `Mozilla/5.0 (X11; Linux x86_64) Chrome/${100 + 8 * year}.0.${this.#agents()}.0 Safari/537.36`,
        language: 'en-US',
        visitor: `${who.toString(16).padStart(32, '0')}`,
        state: String(batch.status[at]),
      };
      for (const [column, text] of Object.entries(texts)) {
        batch.text[column as TextColumn][at] = batch.intern(text);
      }
    }
    return batch;
  }
}
