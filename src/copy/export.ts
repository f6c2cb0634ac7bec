import { randomBytes } from 'node:crypto';
import { wallClock } from '../platform/clock.ts';
import type { Storage } from '../query/storage.ts';
import { storedZone } from '../query/stored-zone.ts';
import type { CompleteReader } from '../storage/complete-reader.ts';
import type { RecordRow } from '../storage/record-row.ts';
import { CHANGES, COVERAGE } from '../summaries/coverage.ts';
import { PERIODS } from '../summaries/periods.ts';
import { type ExportedSum, ExportLines } from './export-format.ts';
import type { CopyProgress } from './options.ts';
import { ALWAYS, ROWS_PER_BATCH, sumsOf } from './rows.ts';

/** Options of an export. */
export interface ExportOptions {
  from: Storage;
  site: string;
  /** True to export the records. */
  records: boolean;
  /** True to export the sums of summaries. */
  summaries: boolean;
  onProgress?: ((progress: CopyProgress) => void) | undefined;
}

/** Result of an export. */
export interface ExportResult {
  records: number;
  sums: number;
  /** True if an app stored requests meanwhile, so that records and sums may be of different points in time. */
  isChanged: boolean;
}

/** Exports a site as NDJSON, which `restore` reads. Passes the text in chunks to `write`. */
export async function exportSite(
  { from, site, records, summaries, onProgress = () => {} }: ExportOptions,
  write: (text: string) => Promise<void>,
): Promise<ExportResult> {
  const { reader } = from;
  const { timeZone } = await storedZone(from, site);
  const before = await stateOf(reader, site);
  const names = summaries ? await reader.summaries(site) : [];
  const lines = new ExportLines();
  const id = randomBytes(16).toString('hex');
  const retention = await reader.retention(site);
  await write(
    lines.head({ id, site, timeZone, retention, records, date: wallClock.now(), summaries: names }),
  );
  const result = { records: 0, sums: 0 };
  if (records) {
    for await (const rows of recordsOf(reader, site)) {
      await write(rows.map((row) => lines.record(row)).join(''));
      result.records += rows.length;
      onProgress({ step: 'records', rows: result.records });
    }
  }
  for await (const rows of allSumsOf(reader, site, names)) {
    await write(rows.map((row) => lines.sum(row)).join(''));
    result.sums += rows.length;
    onProgress({ step: 'sums', summary: rows[0]!.summary, rows: result.sums });
  }
  await write(lines.end());
  return { ...result, isChanged: (await stateOf(reader, site)) !== before };
}

/** Returns all records, oldest first, in chunks. */
export async function* recordsOf(reader: CompleteReader, site: string): AsyncGenerator<RecordRow[]> {
  let after: string | undefined;
  do {
    const { records, next } = await reader.scan({ site, after, limit: ROWS_PER_BATCH });
    if (records.length > 0) yield records;
    after = next;
  } while (after !== undefined);
}

/** Returns all sums of summaries, in chunks of one summary and period. */
export async function* allSumsOf(
  reader: CompleteReader,
  site: string,
  summaries: readonly string[],
): AsyncGenerator<ExportedSum[]> {
  for (const summary of summaries) {
    for (const period of PERIODS) {
      for await (const rows of sumsOf(reader, site, summary, period)) {
        yield rows.map((row) => ({ ...row, summary, period }));
      }
    }
  }
}

/** Returns a text that differs after an app stored requests. */
async function stateOf(reader: CompleteReader, site: string): Promise<string> {
  const spans = PERIODS.map((period) => ({ period, ...ALWAYS }));
  const totals = await Promise.all(
    [COVERAGE, CHANGES].map(({ name }) => reader.total({ site, summary: name, spans, target: undefined })),
  );
  return JSON.stringify(totals);
}
