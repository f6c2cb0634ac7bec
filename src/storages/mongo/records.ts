import { hash } from 'node:crypto';
import { type Extra, FLAG_AUTHORIZATION, FLAG_BOT } from '../../batch.ts';
import type { TextColumn } from '../../record.ts';
import type { Batch } from '../../storage/contract.ts';
import { RECORD_COLUMNS, type RecordRow } from '../../storage/record-row.ts';
import type { StoredDocument } from './collections.ts';
import { isPlain } from './plain.ts';

/** Text fields besides the site. `null` values are omitted. */
const TEXT_FIELDS: readonly [field: (typeof RECORD_COLUMNS)[number], column: TextColumn][] = [
  ['server_name', 'serverName'],
  ['method', 'method'],
  ['url', 'url'],
  ['url_key', 'urlKey'],
  ['route', 'route'],
  ['protocol', 'protocol'],
  ['remote_addr', 'remoteAddr'],
  ['forwarded_for', 'forwardedFor'],
  ['user_agent', 'agent'],
  ['browser', 'browser'],
  ['version', 'version'],
  ['platform', 'platform'],
  ['language', 'language'],
  ['referrer', 'referrer'],
  ['username', 'username'],
  ['visitor', 'visitor'],
  ['country', 'country'],
  ['blueprint', 'blueprint'],
  ['path', 'path'],
  ['referrer_host', 'referrerHost'],
  ['campaign', 'campaign'],
  ['device', 'device'],
  ['class', 'class'],
];

/** Parts of `Extra`, and the fields that store them. */
const EXTRA_FIELDS = { routeParams: 'route_params', vars: 'vars', geo: 'geo', keys: 'keys' } as const;

/** Number of hexadecimal digits of a journal's hash, and of a record's number, in an `_id`. */
const HASH_LENGTH = 10;
const ORDINAL_LENGTH = 10;

/**
 * Converts the records of a batch to documents. The same batch always gives the same `_id`s, so that it can
 * be retried.
 */
export function* documentsOf({ records, journal, from }: Batch, site: string): Generator<StoredDocument> {
  const ofJournal = journalHash(journal);
  for (let i = 0; i < records.length; i++) {
    const ms = Math.floor(records.date[i]!);
    const document: StoredDocument = { _id: idOf(ms, ofJournal, from.ordinal + i), date: new Date(ms), site };
    for (const [field, column] of TEXT_FIELDS) {
      const text = records.at(column, i);
      if (text !== null) document[field] = text;
    }
    document.status = records.status[i]!;
    document.content_length = records.contentLength[i]!;
    document.duration = records.duration[i]!;
    const received = records.receivedAt(i);
    if (received !== null) document.received = received;
    document.authorization = (records.flags[i]! & FLAG_AUTHORIZATION) !== 0;
    document.bot = (records.flags[i]! & FLAG_BOT) !== 0;
    const extra = records.extra.get(i);
    if (extra !== undefined) Object.assign(document, fieldsOf(extra));
    yield document;
  }
}

/** Returns the part of the `_id`s of a journal's records that identifies the journal. */
export function journalHash(journal: string): string {
  return hash('sha256', journal, 'hex').slice(0, HASH_LENGTH);
}

/** Returns the journal and the number of a record in it, from its `_id`. */
export function originOf(id: string): { journal: string; ordinal: number } {
  const at = id.length - ORDINAL_LENGTH;
  return { journal: id.slice(at - HASH_LENGTH, at), ordinal: Number.parseInt(id.slice(at), 16) };
}

/**
 * Returns an ID that increases with the date, then with the position in the journal. It consists of the
 * second, the journal and the record's number.
 */
function idOf(ms: number, journal: string, ordinal: number): string {
  return hex(Math.floor(ms / 1000), 8) + journal + hex(ordinal, ORDINAL_LENGTH);
}

function hex(value: number, length: number): string {
  return Math.max(0, value).toString(16).padStart(length, '0');
}

/**
 * Returns the parts as documents, so that they can be queried as `vars.plan`. Parts that MongoDB cannot store
 * as documents become text.
 */
function fieldsOf(text: string): Record<string, unknown> {
  const extra = JSON.parse(text) as Extra;
  if (!isPlain(extra)) return { extra: text };
  const fields: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(EXTRA_FIELDS)) {
    const part = extra[name as keyof Extra];
    if (part !== undefined) fields[field] = part;
  }
  return fields;
}

export function rowOf(document: StoredDocument): RecordRow {
  const row: Record<string, unknown> = { ms: (document.date as Date).getTime() };
  for (const column of RECORD_COLUMNS) row[column] = document[column] ?? null;
  row.authorization = document.authorization ? 1 : 0;
  row.bot = document.bot ? 1 : 0;
  row.extra ??= extraOf(document);
  return row as unknown as RecordRow;
}

function extraOf(document: StoredDocument): string | null {
  const parts = Object.entries(EXTRA_FIELDS).filter(([, field]) => document[field] !== undefined);
  if (parts.length === 0) return null;
  return JSON.stringify(Object.fromEntries(parts.map(([name, field]) => [name, document[field]])));
}
