import { RecordBatch } from '../batch.ts';
import { TrackUsageError } from '../errors.ts';
import type { Position } from '../journal/position.ts';
import { deltasOf } from '../storage/batch-rows.ts';
import { changing } from '../storage/checks.ts';
import type { Batch, Scanned, ScanRequest, StorageWriter, SumRow } from '../storage/contract.ts';
import { batchOf } from '../storage/record-row.ts';
import type { Deltas } from '../summaries/fold.ts';
import { PERIODS, type Period, targetOf } from '../summaries/periods.ts';
import type { CopyOptions } from './options.ts';
import { ROWS_PER_BATCH, sumsOf } from './rows.ts';
import { journalOf, nothingThere, openTarget } from './target.ts';
import { verify } from './verify.ts';

export interface CopyResult {
  records: number;
  /** Number of rows of all summaries and periods. */
  sums: number;
}

/**
 * Copies a site's records and summaries from one storage to another. The target stores the progress like a
 * journal's position, so an interrupted copy continues where it stopped. Nothing may write to the site
 * meanwhile. Finally, both are read and compared.
 */
export async function copy({
  from,
  to,
  site,
  toSite = site,
  onProgress = () => {},
}: CopyOptions): Promise<CopyResult> {
  const timeZone = await from.reader.timeZone(site).catch(nothingThere);
  if (timeZone === undefined) throw new TrackUsageError('COPY_EMPTY', { value: from.label, site });
  const target = targetOf(timeZone);
  if (target !== undefined) throw changing(site, from.label, target);
  const summaries = await from.reader.summaries(site);
  const journal = (part: string) => journalOf(from.identity, site, toSite, part);
  const writer = await openTarget(to, toSite, timeZone, journal('begun'));
  try {
    // Otherwise, buckets whose records were deleted would look damaged in the copy.
    await writer.maintenance?.retain(await from.reader.retention(site));
    const scan: Scan = (request) => from.reader.scan(request);
    const records = await copyRecords(
      scan,
      writer,
      { label: from.label, site, toSite, journal: journal('records') },
      (rows) => onProgress({ step: 'records', rows }),
    );
    let sums = 0;
    for (const summary of summaries) {
      for (const period of PERIODS) {
        const pieces = sumsOf(from.reader, site, summary, period);
        const copied = await copySums(pieces, writer, summary, period, journal(`${summary} ${period}`));
        sums += copied;
        onProgress({ step: 'sums', summary, rows: sums });
      }
    }
    await verify({ from, to, site, toSite, summaries, onProgress });
    return { records, sums };
  } finally {
    await writer.close();
  }
}

type Scan = (request: ScanRequest) => Promise<Scanned>;

interface RecordsToCopy {
  /** Label of the source. */
  label: string;
  site: string;
  toSite: string;
  journal: string;
  folded?: (records: RecordBatch) => Deltas;
}

/**
 * Copies the records and returns their number. Throws if there are fewer than were copied before. With
 * `folded`, they are also added to the summaries.
 */
export async function copyRecords(
  scan: Scan,
  writer: StorageWriter,
  { label, site, toSite, journal, folded }: RecordsToCopy,
  onRows: (rows: number) => void,
): Promise<number> {
  let at = (await writer.position(journal)) ?? { position: 0, ordinal: 0 };
  let read = 0;
  let after: string | undefined;
  do {
    const { records: rows, next } = await scan({ site, after, limit: ROWS_PER_BATCH });
    // Records that an earlier run copied are read again, to find the position after them.
    const missing = rows.slice(Math.max(0, at.ordinal - read));
    if (missing.length > 0) {
      const records = batchOf(missing, toSite);
      at = await put(writer, { journal, from: at, records, deltas: folded?.(records) ?? [] }, missing.length);
    }
    read += rows.length;
    after = next;
    onRows(read);
  } while (after !== undefined);
  if (read < at.ordinal) {
    throw new TrackUsageError('COPY_SHRUNK', { value: label, found: read, copied: at.ordinal });
  }
  return read;
}

/**
 * Copies the sums of one summary and period, and returns their number.
 * @param pieces Sums in chunks, the same in each run.
 */
export async function copySums(
  pieces: AsyncIterable<readonly SumRow[]>,
  writer: StorageWriter,
  summary: string,
  period: Period,
  journal: string,
): Promise<number> {
  let at = (await writer.position(journal)) ?? { position: 0, ordinal: 0 };
  let rows = 0;
  for await (const piece of pieces) {
    const missing = piece.slice(Math.max(0, at.ordinal - rows));
    rows += piece.length;
    if (missing.length === 0) continue;
    const records = new RecordBatch(1);
    const deltas = deltasOf(
      records,
      missing.map((row) => ({ ...row, summary, period })),
    );
    at = await put(writer, { journal, from: at, records, deltas }, missing.length);
  }
  return rows;
}

async function put(writer: StorageWriter, batch: Omit<Batch, 'to'>, rows: number): Promise<Position> {
  const to = { position: batch.from.position + rows, ordinal: batch.from.ordinal + rows };
  if (!(await writer.apply({ ...batch, to }))) {
    throw new Error('another copy into the same site is running');
  }
  return to;
}
