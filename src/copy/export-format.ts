import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { fileReason, pathText, TrackUsageError } from '../errors.ts';
import type { Measures, SumRow } from '../storage/contract.ts';
import { RECORD_COLUMNS, type RecordRow } from '../storage/record-row.ts';
import type { StoredRetention } from '../storage/retention.ts';
import type { Period } from '../summaries/periods.ts';

/*
 * An export is NDJSON: a head, one line per record (oldest first), one line per sum, and an end with the numbers of
 * both and a digest of all lines before. A file without an intact end is truncated.
 */

/** Version of the format. */
const VERSION = 1;

/** First line of an export. */
export interface ExportHead {
  /** Random ID of the export. */
  id: string;
  site: string;
  timeZone: string;
  retention: StoredRetention;
  /** True if the records were exported. */
  records: boolean;
  /** Time of the export, in ms since 1970. */
  date: number;
  /** Names of the exported summaries, including reserved ones. Empty without `--summaries`. */
  summaries: string[];
}

/** A sum of an export. */
export interface ExportedSum extends SumRow {
  summary: string;
  period: Period;
}

/** A line of an export between its head and its end. */
export type ExportedRow = { record: RecordRow; sum?: undefined } | { sum: ExportedSum; record?: undefined };

/** Columns of a record. The site is in the head. */
const EXPORTED = (['ms', ...RECORD_COLUMNS] as const).filter((column) => column !== 'site');

/** Formats the lines of an export. */
export class ExportLines {
  readonly #hash = createHash('sha256');
  #records = 0;
  #sums = 0;

  head(head: ExportHead): string {
    return this.#line({ 'track-usage': VERSION, ...head });
  }

  record(row: RecordRow): string {
    this.#records += 1;
    // In a fixed order, and without null, which is the value of most columns.
    const columns = EXPORTED.filter((column) => row[column] !== null);
    return this.#line({ record: Object.fromEntries(columns.map((column) => [column, row[column]])) });
  }

  sum({ summary, period, bucket, key, hits, transfer, errors, duration }: ExportedSum): string {
    this.#sums += 1;
    return this.#line({ sum: [summary, period, bucket, key, hits, transfer, errors, duration] });
  }

  end(): string {
    return `${JSON.stringify({ end: endOf(this.#records, this.#sums, this.#hash) })}\n`;
  }

  #line(value: unknown): string {
    const line = `${JSON.stringify(value)}\n`;
    this.#hash.update(line);
    return line;
  }
}

function endOf(records: number, sums: number, hash: Hash) {
  return { records, sums, sha256: hash.copy().digest('hex') };
}

/** Numbers of rows of a complete export. */
export interface CheckedExport {
  head: ExportHead;
  records: number;
  sums: number;
}

/** Reads a file and checks that it is complete and unchanged. Throws `EXPORT_INVALID` otherwise. */
export async function checkExport(file: string): Promise<CheckedExport> {
  const invalid = (reason: string) => new TrackUsageError('EXPORT_INVALID', { value: file, reason });
  const hash = createHash('sha256');
  let head: ExportHead | undefined;
  let [records, sums] = [0, 0];
  const lines = linesOf(file);
  const next = () =>
    lines.next().catch((error: unknown) => {
      throw new TrackUsageError(
        'FILE_UNREADABLE',
        { value: pathText(file), reason: fileReason(error) },
        { cause: error },
      );
    });
  for (let line = await next(); !line.done; line = await next()) {
    const text = line.value.toString('utf8');
    if (!head) {
      head = headOf(text);
      if (!head) throw invalid('its first line is not that of an export in NDJSON');
    } else if (text.startsWith('{"end":')) {
      const expected = JSON.stringify({ end: endOf(records, sums, hash) });
      if (text !== expected) throw invalid('its contents do not match the digest at its end');
      // `rowsOfExport` would also read rows after the trailer.
      if (!(await next()).done) throw invalid('it continues after its trailer');
      return { head, records, sums };
    } else if (text.startsWith('{"record":')) records += 1;
    else sums += 1;
    hash.update(line.value).update('\n');
  }
  throw invalid(head ? 'it is truncated' : 'it is empty');
}

/** Returns the records and sums of a checked export. */
export async function* rowsOfExport(file: string, site: string): AsyncGenerator<ExportedRow> {
  for await (const line of linesOf(file)) {
    const text = line.toString('utf8');
    if (text.startsWith('{"record":')) yield { record: recordIn(text, site) };
    else if (text.startsWith('{"sum":')) yield { sum: sumIn(text) };
  }
}

function headOf(text: string): ExportHead | undefined {
  try {
    const { 'track-usage': version, ...head } = JSON.parse(text) as { 'track-usage': number } & ExportHead;
    const texts: unknown[] = [head.id, head.site, head.timeZone];
    const isHead = version === VERSION && texts.every((each) => typeof each === 'string');
    return isHead && Array.isArray(head.summaries) ? head : undefined;
  } catch {
    return undefined;
  }
}

const ABSENT = Object.fromEntries(RECORD_COLUMNS.map((column) => [column, null]));

function recordIn(text: string, site: string): RecordRow {
  const { record } = JSON.parse(text) as { record: Partial<RecordRow> };
  return { ...ABSENT, ...record, site } as RecordRow;
}

function sumIn(text: string): ExportedSum {
  const { sum } = JSON.parse(text) as { sum: [string, Period, number, string | null, ...number[]] };
  const [summary, period, bucket, key, ...measures] = sum;
  const [hits, transfer, errors, duration] = measures as [number, number, number, number];
  return { summary, period, bucket, key, ...({ hits, transfer, errors, duration } satisfies Measures) };
}

/** Returns the lines of a file without their line breaks. Not `readline`, which also splits at U+2028. */
async function* linesOf(file: string): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of createReadStream(file) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      yield bytes.subarray(from, end);
      from = end + 1;
    }
    rest = bytes.subarray(from);
  }
  if (rest.length > 0) yield rest;
}
