/**
 * Storage in the memory of the process, for tests.
 * @module track-usage/memory
 */
import { randomUUID } from 'node:crypto';
import { checkOption, checkOptions, isWholeNumber } from '../../options/checks.ts';
import { Storage } from '../../query/storage.ts';
import { STORAGE_OPTIONS, type StorageOptions, storageOptionsOf } from '../../storage/writer.ts';
import { MemoryLocation } from './location.ts';

/** Options of a `MemoryStorage`. All are optional. */
export interface MemoryStorageOptions extends StorageOptions {
  /** Maximum number of records kept. The oldest are removed first. Defaults to 100,000. */
  maxRecords?: number;
}

const DEFAULT_MAX_RECORDS = 100_000;

/**
 * Stores records and summaries in the memory of the process, for tests and experiments. They are lost when
 * the process ends. An app with only such storages writes no files.
 */
export class MemoryStorage extends Storage {
  constructor(options: MemoryStorageOptions = {}) {
    checkOptions('MemoryStorage', options, [...STORAGE_OPTIONS, 'maxRecords']);
    const { maxRecords = DEFAULT_MAX_RECORDS } = options;
    checkOption(
      'MemoryStorage.maxRecords',
      maxRecords,
      isWholeNumber(maxRecords, 0),
      'a whole number of records',
    );
    const location = new MemoryLocation(maxRecords);
    super({
      label: 'memory',
      identity: `memory:${randomUUID()}`,
      ephemeral: true,
      openWriter: async (context) => location.openWriter(context),
      openReader: async () => location,
      ...storageOptionsOf(options),
    });
  }
}
