import { type Extra, FLAG_AUTHORIZATION, FLAG_BOT, RecordBatch } from '../batch.ts';
import type { Position } from '../journal/position.ts';
import type { DerivedColumn, TextColumn } from '../record.ts';
import { type DeltaRow, deltasOf } from '../storage/batch-rows.ts';
import type { Batch } from '../storage/contract.ts';
import type { Summary } from '../summaries/define.ts';
import { fold } from '../summaries/fold.ts';
import { calendar } from '../summaries/periods.ts';

/** Fields of a record; the others have defaults. */
export type TestRecord = Partial<Record<Exclude<TextColumn, DerivedColumn>, string | null>> & {
  date?: number;
  duration?: number;
  contentLength?: number;
  received?: number | null;
  status?: number;
  authorization?: boolean;
  bot?: boolean;
  extra?: Extra;
};

/** 2026-11-24T12:34:56.789Z */
export const NOON = Date.UTC(2026, 10, 24, 12, 34, 56, 789);

/** A journal without a file that creates consecutive batches. */
export class TestJournal {
  readonly id: string;
  readonly #summaries: readonly Summary[];
  readonly #timeZone: string;
  readonly #site: string;
  #end: Position = { position: 0, ordinal: 0 };

  constructor(id: string, summaries: readonly Summary[], timeZone = 'UTC', site = 'default') {
    this.id = id.padEnd(32, '0');
    this.#summaries = summaries;
    this.#timeZone = timeZone;
    this.#site = site;
  }

  /** Returns the next batch. @param summaries Summaries to count. Defaults to those of the journal. */
  batch(records: readonly TestRecord[], summaries = this.#summaries): Batch {
    const from = this.#end;
    // A record takes at least 64 bytes. A batch is empty if damage was skipped.
    const to = {
      position: from.position + 64 * Math.max(1, records.length),
      ordinal: from.ordinal + records.length,
    };
    this.#end = to;
    const columns = recordBatch(records, this.#site);
    const deltas = fold(columns, summaries, calendar(this.#timeZone));
    return { journal: this.id, from, to, records: columns, deltas };
  }

  /** Returns the next batch, which only has sums, as of a rebuild. They may be negative. */
  correction(rows: readonly DeltaRow[]): Batch {
    const batch = this.batch([]);
    return { ...batch, deltas: deltasOf(batch.records, rows) };
  }
}

function recordBatch(records: readonly TestRecord[], site: string): RecordBatch {
  const batch = new RecordBatch(Math.max(1, records.length));
  batch.site = site;
  for (const record of records) {
    const { date = NOON, duration = 1_500, contentLength = 5, status = 200, ...rest } = record;
    const { authorization = false, bot = false, received = null, extra, ...texts } = rest;
    const i = batch.length++;
    batch.date[i] = date;
    batch.duration[i] = duration;
    batch.contentLength[i] = contentLength;
    batch.received[i] = received ?? -1;
    batch.status[i] = status;
    batch.flags[i] = (authorization ? FLAG_AUTHORIZATION : 0) | (bot ? FLAG_BOT : 0);
    const columns = {
      serverName: site,
      method: 'GET',
      url: 'http://localhost/',
      protocol: 'HTTP/1.1',
      ...texts,
      state: String(status),
      botName: bot ? (texts.browser ?? texts.agent ?? null) : null,
    };
    for (const [column, text] of Object.entries(columns)) {
      batch.text[column as TextColumn][i] = batch.intern(text);
    }
    batch.derive(i);
    if (extra) batch.extra.set(i, JSON.stringify(extra));
    for (const [name, keys] of Object.entries(extra?.keys ?? {})) batch.setKeys(name, i, keys);
  }
  return batch;
}
