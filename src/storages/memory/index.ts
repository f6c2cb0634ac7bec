import { checkOption, checkOptions, isWholeNumber } from '../../options.ts';
import { Storage } from '../storage.ts';
import type { Hook } from '../writer.ts';
import { MemoryPlace } from './place.ts';

export interface MemoryStorageOptions {
  /** The summaries to keep, or their names, and functions to call with each record. Defaults to `sumBasic`. */
  hooks?: readonly Hook[];
  /** The most records that are kept; the oldest go first. Defaults to 100,000. */
  maxRecords?: number;
}

const DEFAULT_MAX_RECORDS = 100_000;
let count = 0;

/**
 * Keeps records and summaries in the memory of the process, and forgets them with it: for tests, and to look at
 * what an app does.
 */
export class MemoryStorage extends Storage {
  constructor(options: MemoryStorageOptions = {}) {
    checkOptions('MemoryStorage', options, ['hooks', 'maxRecords']);
    const { hooks, maxRecords = DEFAULT_MAX_RECORDS } = options;
    checkOption(
      'MemoryStorage.maxRecords',
      maxRecords,
      isWholeNumber(maxRecords, 0),
      'a whole number of records',
    );
    const place = new MemoryPlace(maxRecords);
    count += 1;
    super({
      label: 'memory',
      // Of another process, or another one here, nobody may take over the journal.
      identity: `memory:${process.pid}:${count}`,
      openWriter: async (context) => place.openWriter(context),
      openReader: async () => place,
      hooks,
    });
  }
}
