import { createHash } from 'node:crypto';
import { RecordBatch } from '../batch.ts';
import { TrackUsageError } from '../errors.ts';
import type { Storage } from '../query/storage.ts';
import { closeOnFailure } from '../storage/close-on-failure.ts';
import type { StorageReader, StorageWriter } from '../storage/contract.ts';
import { openStorageWriter } from '../storage/writer.ts';
import { LAST } from './rows.ts';

/**
 * Opens the writing end of the target. Throws if it contains data of the site that this copy did not create.
 * @param begun Journal that records that the copy has begun.
 */
export async function openTarget(
  to: Storage,
  site: string,
  timeZone: string,
  begun: string,
): Promise<StorageWriter> {
  const known = await isKnown(to.reader, site);
  const writer = await openStorageWriter(to, { site, timeZone, durable: false });
  return closeOnFailure(
    () => writer.close(),
    async () => {
      if ((await writer.position(begun)) === undefined) {
        if (known) throw new TrackUsageError('COPY_TARGET', { value: to.label, site });
        await begin(writer, begun);
      }
      return writer;
    },
  );
}

/** Returns whether the target contains data of the site. An empty one may be written to. */
async function isKnown(reader: StorageReader, site: string): Promise<boolean> {
  try {
    if ((await reader.summaries(site)).length > 0) return true;
    return (await reader.usage({ site, from: -LAST, to: LAST, limit: 1, offset: 0 })).length > 0;
  } catch (error) {
    nothingThere(error);
    return false;
  }
}

export function nothingThere(error: unknown): undefined {
  if ((error as TrackUsageError).code !== 'STORAGE_NOT_FOUND') throw error;
  return undefined;
}

/** Returns the journal of a part of a copy. Its position is the part's progress. */
export function journalOf(...parts: string[]): string {
  return createHash('sha256')
    .update(JSON.stringify(['copy', ...parts]))
    .digest('hex')
    .slice(0, 32);
}

async function begin(writer: StorageWriter, journal: string): Promise<void> {
  const from = { position: 0, ordinal: 0 };
  await writer.apply({
    journal,
    from,
    to: { position: 1, ordinal: 0 },
    records: new RecordBatch(1),
    deltas: [],
  });
}
