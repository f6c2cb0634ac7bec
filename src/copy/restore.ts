import { TrackUsageError } from '../errors.ts';
import type { Storage } from '../query/storage.ts';
import type { StoredRetention } from '../storage/retention.ts';
import type { Period } from '../summaries/periods.ts';
import { copyRecords, copySums } from './copy.ts';
import { checkExport, type ExportedSum, type ExportHead, rowsOfExport } from './export-format.ts';
import type { CopyProgress } from './options.ts';
import { ROWS_PER_BATCH } from './rows.ts';
import { journalOf, openTarget } from './target.ts';
import { Digests } from './verify.ts';

/** Options of a restore. */
export interface RestoreOptions {
  /** Path of the export, in NDJSON. */
  file: string;
  to: Storage;
  /** Name of the site in `to`. Defaults to its name in the export. */
  toSite?: string | undefined;
  onProgress?: ((progress: CopyProgress) => void) | undefined;
}

/** Result of a restore. */
export interface RestoreResult {
  site: string;
  records: number;
  sums: number;
}

/**
 * Stores an export in a storage without data of the site, and compares what is stored with the file. The target stores
 * the progress like a journal's position, so an interrupted restore continues where it stopped.
 */
export async function restore({
  file,
  to,
  toSite,
  onProgress = () => {},
}: RestoreOptions): Promise<RestoreResult> {
  // Checked as a whole first, so that a truncated file changes nothing.
  const { head, records, sums } = await checkExport(file);
  const site = toSite ?? head.site;
  const journal = (part: string) => journalOf('restore', head.id, site, part);
  const writer = await openTarget(to, site, head.timeZone, journal('begun'));
  const wanted = new Digests();
  try {
    await writer.maintenance?.retain(retentionOf(head));
    const rows = new Rows(file, site, wanted);
    await copyRecords(
      () => rows.records(),
      writer,
      { label: file, site, toSite: site, journal: journal('records') },
      (done) => onProgress({ step: 'records', rows: done }),
    );
    let done = 0;
    for (let group = await rows.group(); group !== undefined; group = await rows.group()) {
      const { summary, period } = group;
      done += await copySums(rows.sums(), writer, summary, period, journal(`${summary} ${period}`));
      onProgress({ step: 'sums', summary, rows: done });
    }
  } finally {
    await writer.close();
  }
  const found = new Digests();
  await found.read(to.reader, site, records > 0, head.summaries, (rows) =>
    onProgress({ step: 'verify', rows }),
  );
  const difference = wanted.differenceTo(found);
  if (difference) throw new TrackUsageError('COPY_DIFFERS', { ...difference, from: file, to: to.label });
  return { site, records, sums };
}

/** Returns the retention of the restored site. Without records, none of its sums can be compared with them. */
function retentionOf({ retention, records, date }: ExportHead): StoredRetention {
  if (records) return retention;
  return { ...retention, records: { keep: retention.records?.keep ?? 'forever', before: date } };
}

/** Rows of an export in batches, the same in each run. */
class Rows {
  readonly #rows: ReturnType<typeof rowsOfExport>;
  readonly #digests: Digests;
  #next: Awaited<ReturnType<ReturnType<typeof rowsOfExport>['next']>> | undefined;

  constructor(file: string, site: string, digests: Digests) {
    this.#rows = rowsOfExport(file, site);
    this.#digests = digests;
  }

  /** Returns the next batch of records, in the form of a scan. */
  async records() {
    const records = [];
    for (;;) {
      const { record } = (await this.#peek()) ?? {};
      if (!record || records.length === ROWS_PER_BATCH) return { records, next: record && 'more' };
      this.#digests.addRecord(record);
      records.push(record);
      this.#next = undefined;
    }
  }

  /** Returns the summary and period of the next sums. */
  async group(): Promise<{ summary: string; period: Period } | undefined> {
    return (await this.#peek())?.sum;
  }

  /** Returns the sums of one summary and period, in batches. */
  async *sums(): AsyncGenerator<ExportedSum[]> {
    const first = (await this.#peek())?.sum;
    let batch: ExportedSum[] = [];
    for (;;) {
      const sum = (await this.#peek())?.sum;
      const isSame = sum?.summary === first?.summary && sum?.period === first?.period;
      if (!sum || !isSame || batch.length === ROWS_PER_BATCH) {
        if (batch.length > 0) yield batch;
        batch = [];
        if (!sum || !isSame) return;
      }
      this.#digests.addSum(sum.summary, sum.period, sum);
      batch.push(sum);
      this.#next = undefined;
    }
  }

  async #peek() {
    this.#next ??= await this.#rows.next();
    return this.#next.done ? undefined : this.#next.value;
  }
}
