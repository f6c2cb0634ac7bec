import { FLAG_AUTHORIZATION, FLAG_BOT, type RecordBatch } from '../../batch.ts';
import type { Position } from '../../journal/position.ts';
import type { TextColumn } from '../../record.ts';
import type { Batch } from '../../storage/contract.ts';
import { MEASURES } from '../../storage/measures.ts';
import type { Deltas } from '../../summaries/fold.ts';
import {
  type NativeColumn,
  nativeBlock,
  numbers,
  numbers64,
  optionalNumbers64,
  ownTexts,
  sameText,
  texts,
} from './native.ts';
import { JOURNAL_PERIOD } from './tables.ts';

/** Text columns that cannot be null, with their names in a batch. All others may be null. */
const REQUIRED_TEXTS = {
  server_name: 'serverName',
  method: 'method',
  url: 'url',
  protocol: 'protocol',
} as const;
const OPTIONAL_TEXTS = {
  url_key: 'urlKey',
  route: 'route',
  remote_addr: 'remoteAddr',
  forwarded_for: 'forwardedFor',
  user_agent: 'agent',
  browser: 'browser',
  version: 'version',
  platform: 'platform',
  language: 'language',
  referrer: 'referrer',
  username: 'username',
  visitor: 'visitor',
  country: 'country',
  blueprint: 'blueprint',
  path: 'path',
  referrer_host: 'referrerHost',
  campaign: 'campaign',
  device: 'device',
  class: 'class',
} as const satisfies Record<string, TextColumn>;

/** Range of `DateTime64` and, for buckets, `DateTime`. In ms since 1970. */
const FIRST_DATE = Date.UTC(1970, 1, 2);
const LAST_DATE = 2 ** 32 * 1000 - 1;

/**
 * Thrown for a batch with a value that its column cannot hold. The record that contains it is then searched.
 */
export class Unstorable extends Error {}

/** Encodes the records with these indexes, for `usage_records`. */
export function recordsBlock({ journal, from, records }: Batch, site: string, rows: Int32Array): Buffer[] {
  const { strings, text, extra } = records;
  const of = <A extends Float64Array | Int32Array | Uint16Array>(all: A): A =>
    pick(all, rows, records.length);
  const dates = of(records.date);
  for (const date of dates) {
    if (!(date >= FIRST_DATE && date <= LAST_DATE))
      throw new Unstorable(`the date ${date} is not between 1970 and 2106`);
  }
  const columns = (names: Record<string, TextColumn>, nullable: boolean) =>
    Object.entries(names).map(([name, column]) => texts(name, strings, of(text[column]), nullable));
  return nativeBlock(rows.length, [
    numbers64('date', "DateTime64(3, 'UTC')", dates),
    sameText('site', site, rows.length),
    sameText('journal', journal, rows.length),
    numbers64(
      'ordinal',
      'UInt64',
      Float64Array.from(rows, (row) => from.ordinal + row),
    ),
    ...columns(REQUIRED_TEXTS, false),
    ...columns(OPTIONAL_TEXTS, true),
    numbers('status', 'UInt16', of(records.status)),
    numbers64('content_length', 'UInt64', of(records.contentLength)),
    numbers64('duration', 'UInt64', of(records.duration)),
    optionalNumbers64('received', of(records.received)),
    flag('authorization', records, rows, FLAG_AUTHORIZATION),
    flag('bot', records, rows, FLAG_BOT),
    ownTexts('extra', rows.length, (row) => extra.get(rows[row]!) ?? ''),
  ]);
}

function flag(name: string, { flags }: RecordBatch, rows: Int32Array, bit: number): NativeColumn {
  return numbers(
    name,
    'UInt8',
    Uint8Array.from(rows, (row) => (flags[row]! & bit) / bit),
  );
}

function pick<A extends Float64Array | Int32Array | Uint16Array>(
  all: A,
  rows: Int32Array,
  length: number,
): A {
  if (rows.length === length) return all.subarray(0, length) as A;
  return (all.constructor as unknown as { from(rows: Int32Array, of: (row: number) => number): A }).from(
    rows,
    (row) => all[row]!,
  );
}

/**
 * Encodes what a batch adds to the summaries and the journal's new position, for `usage_sums`. A single
 * block, so that the server stores all of it or nothing.
 */
export function sumsBlock({ journal, to, records, deltas }: Batch, site: string): Buffer[] {
  const moved = deltas.reduce((sum, { key }) => sum + key.length, 0);
  return sumRows(site, deltas, records.strings, moved, journal, to);
}

/** Encodes only a journal's position. */
export function positionBlock(site: string, journal: string, at: Position): Buffer[] {
  return sumRows(site, [], [null], 0, journal, at);
}

function sumRows(
  site: string,
  deltas: Deltas,
  strings: readonly (string | null)[],
  last: number,
  journal: string,
  to: { position: number; ordinal: number },
): Buffer[] {
  const rows = last + 1;
  const names = ['', ...new Set(deltas.map(({ summary }) => summary.name))];
  const periods = [JOURNAL_PERIOD, ...new Set(deltas.map(({ period }) => period))];
  const summary = new Int32Array(rows);
  const period = new Int32Array(rows);
  const bucket = new Uint32Array(rows);
  const key = new Int32Array(rows);
  const measures = {
    hits: new Float64Array(rows),
    transfer: new Float64Array(rows),
    errors: new Float64Array(rows),
    duration: new Float64Array(rows),
  };
  let at = 0;
  for (const group of deltas) {
    const end = at + group.key.length;
    summary.fill(names.indexOf(group.summary.name), at, end);
    period.fill(periods.indexOf(group.period), at, end);
    bucket.fill(group.bucket / 1000, at, end);
    key.set(group.key, at);
    for (const name of MEASURES) measures[name].set(group[name], at);
    at = end;
  }
  key[last] = strings.length;
  // The engine removes rows whose sums are all zero.
  measures.hits[last] = 1;
  const position = new Float64Array(rows);
  const ordinal = new Float64Array(rows);
  position[last] = to.position;
  ordinal[last] = to.ordinal;
  return nativeBlock(rows, [
    sameText('site', site, rows),
    texts('summary', names, summary),
    texts('period', periods, period),
    numbers('bucket', "DateTime('UTC')", bucket),
    numbers(
      'absent',
      'UInt8',
      Uint8Array.from(key, (id) => (id === 0 ? 1 : 0)),
    ),
    texts('key', [...strings, journal], key),
    ...MEASURES.map((name) => numbers64(name, 'UInt64', measures[name])),
    numbers64('position', 'UInt64', position),
    numbers64('ordinal', 'UInt64', ordinal),
  ]);
}
