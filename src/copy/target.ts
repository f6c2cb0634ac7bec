import { createHash } from 'node:crypto';
import { RecordBatch } from '../batch.ts';
import { TrackUsageError } from '../errors.ts';
import type { Storage } from '../query/storage.ts';
import type { StorageReader, StorageWriter } from '../storage/contract.ts';
import { orClose } from '../storage/or-close.ts';
import { openWritingEnd } from '../storage/writer.ts';
import { LAST } from './rows.ts';

/**
 * The writing end of what is copied to. Throws where something of the site is there that this copy did not bring.
 * @param begun The journal that says so.
 */
export async function openTarget(
  to: Storage,
  site: string,
  timeZone: string,
  begun: string,
): Promise<StorageWriter> {
  const known = await isKnown(to.reader, site);
  const writer = await openWritingEnd(to, { site, timeZone, durable: false });
  return orClose(
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

/** A place where nothing of the site is may be written to. */
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

/** Each part of a copy is a journal of its own, so that its position says how far it is. */
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
