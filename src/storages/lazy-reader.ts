import type { UsageRecord } from '../record.ts';
import type { Scanned, ScanRequest, StorageReader, SumRow, SumsRequest, UsageRequest } from './contract.ts';

/** A reading end in the app's thread, opened at the first question and again after it was closed. */
export class LazyReader implements StorageReader {
  readonly #open: () => Promise<StorageReader>;
  #reader: Promise<StorageReader> | undefined;

  constructor(open: () => Promise<StorageReader>) {
    this.#open = open;
  }

  async timeZone(site: string): Promise<string | undefined> {
    return (await this.#get()).timeZone(site);
  }

  async summaries(site: string): Promise<string[]> {
    return (await this.#get()).summaries(site);
  }

  async sums(request: SumsRequest): Promise<SumRow[]> {
    return (await this.#get()).sums(request);
  }

  async usage(request: UsageRequest): Promise<UsageRecord[]> {
    return (await this.#get()).usage(request);
  }

  async scan(request: ScanRequest): Promise<Scanned> {
    return (await this.#get()).scan(request);
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await (await reader?.catch(() => undefined))?.close();
  }

  /** What could not be opened is tried again at the next question. */
  #get(): Promise<StorageReader> {
    const opening = this.#reader ?? this.#open();
    this.#reader = opening;
    opening.catch(() => {
      if (this.#reader === opening) this.#reader = undefined;
    });
    return opening;
  }
}
