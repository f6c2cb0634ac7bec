import { createHash } from 'node:crypto';
import { TrackUsageError } from '../errors.ts';
import type { StorageReader } from '../storage/contract.ts';
import { type RecordRow, recordOf } from '../storage/record-row.ts';
import { PERIODS } from '../summaries/periods.ts';
import type { CopyOptions } from './options.ts';
import { ROWS_PER_BATCH, sumsOf } from './rows.ts';

/** Reads both and throws if they differ. */
export async function verify({
  from,
  to,
  site,
  toSite,
  summaries,
  onProgress,
}: Required<CopyOptions> & { toSite: string; summaries: readonly string[] }): Promise<void> {
  const compare = (what: string, wanted: unknown, found: unknown) => {
    if (wanted === found) return;
    throw new TrackUsageError('COPY_DIFFERS', { what, wanted, found, from: from.label, to: to.label });
  };
  let rows = 0;
  const onRows = (more: number) => {
    rows += more;
    onProgress({ step: 'verify', rows });
  };
  const wanted = await digestOfRecords(from.reader, site, onRows);
  const found = await digestOfRecords(to.reader, toSite, onRows);
  compare('the number of records', wanted.rows, found.rows);
  compare('the digest of the records', wanted.digest, found.digest);
  for (const summary of summaries) {
    for (const period of PERIODS) {
      const [source, target] = [
        await digestOfSums(from.reader, site, summary, period),
        await digestOfSums(to.reader, toSite, summary, period),
      ];
      onRows(source.rows + target.rows);
      compare(`the number of rows of ${summary} by ${period}`, source.rows, target.rows);
      compare(`the digest of ${summary} by ${period}`, source.digest, target.digest);
    }
  }
}

interface Digest {
  rows: number;
  digest: string;
}

/**
 * Returns a digest of all records, independent of their order: records of the same millisecond may be
 * swapped.
 */
async function digestOfRecords(
  reader: StorageReader,
  site: string,
  onRows: (rows: number) => void,
): Promise<Digest> {
  const sum = new BigUint64Array(2);
  let rows = 0;
  let after: string | undefined;
  do {
    const { records, next } = await reader.scan({ site, after, limit: ROWS_PER_BATCH });
    for (const row of records) {
      const hash = createHash('sha256').update(textOf(row)).digest();
      sum[0]! += hash.readBigUInt64LE(0);
      sum[1]! += hash.readBigUInt64LE(8);
    }
    rows += records.length;
    onRows(records.length);
    after = next;
  } while (after !== undefined);
  return { rows, digest: `${sum[0]!.toString(16)}${sum[1]!.toString(16)}` };
}

/**
 * Returns a canonical text. The site may have another name in the copy, and not every engine keeps the order
 * of an object's entries.
 */
function textOf(row: RecordRow): string {
  return JSON.stringify({ ...recordOf(row), site: '' }, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

async function digestOfSums(
  reader: StorageReader,
  site: string,
  summary: string,
  period: (typeof PERIODS)[number],
): Promise<Digest> {
  const hash = createHash('sha256');
  let rows = 0;
  for await (const piece of sumsOf(reader, site, summary, period)) {
    for (const { bucket, key, hits, transfer, errors, duration } of piece) {
      hash.update(JSON.stringify([bucket, key, hits, transfer, errors, duration]));
    }
    rows += piece.length;
  }
  return { rows, digest: hash.digest('hex').slice(0, 16) };
}
