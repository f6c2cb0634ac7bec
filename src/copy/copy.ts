import { RecordBatch } from '../batch.ts';
import { TrackUsageError } from '../errors.ts';
import type { Position } from '../journal/position.ts';
import type {
  Batch,
  Scanned,
  ScanRequest,
  StorageReader,
  StorageWriter,
  SumRow,
} from '../storage/contract.ts';
import { batchOf } from '../storage/record-row.ts';
import type { DeltaGroup, Deltas } from '../summaries/fold.ts';
import { PERIODS, type Period } from '../summaries/periods.ts';
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
  const summaries = await from.reader.summaries(site);
  const journal = (part: string) => journalOf(from.identity, site, toSite, part);
  const writer = await openTarget(to, toSite, timeZone, journal('begun'));
  try {
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
        const copied = await copySums(
          from.reader,
          writer,
          site,
          summary,
          period,
          journal(`${summary} ${period}`),
        );
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

async function copySums(
  reader: StorageReader,
  writer: StorageWriter,
  site: string,
  summary: string,
  period: Period,
  journal: string,
): Promise<number> {
  let at = (await writer.position(journal)) ?? { position: 0, ordinal: 0 };
  let rows = 0;
  for await (const piece of sumsOf(reader, site, summary, period)) {
    const missing = piece.slice(Math.max(0, at.ordinal - rows));
    rows += piece.length;
    if (missing.length === 0) continue;
    const { strings, deltas } = deltasOf(summary, period, missing);
    const records = Object.assign(new RecordBatch(1), { strings });
    at = await put(writer, { journal, from: at, records, deltas }, missing.length);
  }
  return rows;
}

function deltasOf(summary: string, period: Period, rows: readonly SumRow[]) {
  const batch = new RecordBatch(1);
  const byBucket = Map.groupBy(rows, ({ bucket }) => bucket);
  const deltas = [...byBucket].map(
    ([bucket, members]): DeltaGroup => ({
      summary: { name: summary, title: summary },
      period,
      bucket,
      key: Int32Array.from(members, ({ key }) => batch.intern(key)),
      hits: Float64Array.from(members, ({ hits }) => hits),
      transfer: Float64Array.from(members, ({ transfer }) => transfer),
      errors: Float64Array.from(members, ({ errors }) => errors),
      duration: Float64Array.from(members, ({ duration }) => duration),
    }),
  );
  return { strings: batch.strings, deltas };
}

async function put(writer: StorageWriter, batch: Omit<Batch, 'to'>, rows: number): Promise<Position> {
  const to = { position: batch.from.position + rows, ordinal: batch.from.ordinal + rows };
  if (!(await writer.apply({ ...batch, to }))) {
    throw new Error('another copy into the same site is running');
  }
  return to;
}
