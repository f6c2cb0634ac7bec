import { createHash, type Hash } from 'node:crypto';
import { TrackUsageError } from '../errors.ts';
import type { StorageReader, SumRow } from '../storage/contract.ts';
import { type RecordRow, recordOf } from '../storage/record-row.ts';
import { PERIODS, type Period } from '../summaries/periods.ts';
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
  let rows = 0;
  const onRows = (more: number) => {
    rows += more;
    onProgress({ step: 'verify', rows });
  };
  const [wanted, found] = [new Digests(), new Digests()];
  await wanted.read(from.reader, site, true, summaries, onRows);
  await found.read(to.reader, toSite, true, summaries, onRows);
  const difference = wanted.differenceTo(found);
  if (difference) {
    throw new TrackUsageError('COPY_DIFFERS', { ...difference, from: from.label, to: to.label });
  }
}

/** Difference between two copies. */
export interface CopyDifference {
  what: string;
  wanted: unknown;
  found: unknown;
}

/** Numbers and digests of all records and sums of a site. */
export class Digests {
  /** Independent of the order of the records: those of the same millisecond may be swapped. */
  readonly #records = new BigUint64Array(2);
  #count = 0;
  readonly #sums = new Map<string, { rows: number; hash: Hash }>();

  addRecord(row: RecordRow): void {
    const hash = createHash('sha256').update(textOf(row)).digest();
    this.#records[0]! += hash.readBigUInt64LE(0);
    this.#records[1]! += hash.readBigUInt64LE(8);
    this.#count += 1;
  }

  /** Adds a sum. Those of one summary and period are added in the order of results. */
  addSum(summary: string, period: Period, row: SumRow): void {
    const { bucket, key, hits, transfer, errors, duration } = row;
    const name = `${summary} by ${period}`;
    const sums = this.#sums.get(name) ?? { rows: 0, hash: createHash('sha256') };
    this.#sums.set(name, sums);
    sums.rows += 1;
    sums.hash.update(JSON.stringify([bucket, key, hits, transfer, errors, duration]));
  }

  /** Adds what a storage has of a site. */
  async read(
    reader: StorageReader,
    site: string,
    hasRecords: boolean,
    summaries: readonly string[],
    onRows: (rows: number) => void,
  ): Promise<void> {
    let after: string | undefined;
    if (hasRecords) {
      do {
        const { records, next } = await reader.scan({ site, after, limit: ROWS_PER_BATCH });
        for (const row of records) this.addRecord(row);
        onRows(records.length);
        after = next;
      } while (after !== undefined);
    }
    for (const summary of summaries) {
      for (const period of PERIODS) {
        for await (const rows of sumsOf(reader, site, summary, period)) {
          for (const row of rows) this.addSum(summary, period, row);
          onRows(rows.length);
        }
      }
    }
  }

  /** Returns the first difference to a copy. */
  differenceTo(copy: Digests): CopyDifference | undefined {
    const records = (of: Digests) => [...of.#records].map((part) => part.toString(16)).join('');
    const pairs: [what: string, wanted: unknown, found: unknown][] = [
      ['the number of records', this.#count, copy.#count],
      ['the digest of the records', records(this), records(copy)],
    ];
    for (const name of new Set([...this.#sums.keys(), ...copy.#sums.keys()])) {
      const [wanted, found] = [this.#sums.get(name), copy.#sums.get(name)];
      const digest = (of: typeof wanted) => of?.hash.copy().digest('hex').slice(0, 16);
      pairs.push([`the number of rows of ${name}`, wanted?.rows ?? 0, found?.rows ?? 0]);
      pairs.push([`the digest of ${name}`, digest(wanted), digest(found)]);
    }
    const pair = pairs.find(([, wanted, found]) => wanted !== found);
    return pair && { what: pair[0], wanted: pair[1], found: pair[2] };
  }
}

/**
 * Returns a canonical text. The site may have another name in the copy, and not every engine keeps the order
 * of an object's entries.
 */
function textOf(row: RecordRow): string {
  return JSON.stringify(
    { ...recordOf(row), site: '', urlKey: row.url_key ?? null, path: row.path ?? null },
    (_, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
        : value,
  );
}
