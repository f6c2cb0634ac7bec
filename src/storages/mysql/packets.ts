import type { Query, Row } from './session.ts';

/**
 * The most that a statement holds, where the server takes it: with more it is no faster, and what fits into a socket is
 * gone before the next one is made. In bytes.
 */
const MOST = 256 * 1024;
/** Besides its text, a statement is its command and a little more. In bytes. */
const OVERHEAD = 64;

/** A statement for many rows; one for none of them is not sent. */
export interface RowsStatement {
  head: string;
  rows: Iterable<string>;
  tail: string;
  /** Between two rows. Defaults to a comma. */
  separator?: string;
}

/** A row that the server takes in no statement. */
export class RowTooLarge extends Error {
  /** @param packet The server's `max_allowed_packet`. */
  constructor(bytes: number, packet: number) {
    super(`a row takes ${bytes} bytes, and max_allowed_packet of the server is ${packet}`);
  }
}

/**
 * Sends statements for many rows as statements that the server takes: while it works on one, the next is made.
 * Everything in them is ASCII.
 * @param packet The server's `max_allowed_packet`. In bytes.
 */
export async function send(
  query: Query,
  statements: Iterable<RowsStatement>,
  packet: number,
): Promise<Row[]> {
  const found: Row[] = [];
  let sent: Promise<Row[]> | undefined;
  for (const statement of statements) {
    for (const piece of piecesOf(statement, packet)) {
      if (sent) found.push(...(await sent));
      sent = query(piece);
      // Making the next one may fail before this is waited for.
      sent.catch(() => {});
    }
  }
  if (sent) found.push(...(await sent));
  return found;
}

function* piecesOf({ head, rows, tail, separator = ',' }: RowsStatement, packet: number): Generator<string> {
  const most = Math.min(MOST, packet / 2) - head.length - tail.length;
  let values = '';
  for (const row of rows) {
    const alone = head.length + row.length + tail.length + OVERHEAD;
    if (alone > packet) throw new RowTooLarge(alone, packet);
    if (values !== '' && values.length + row.length > most) {
      yield head + values + tail;
      values = '';
    }
    values += values === '' ? row : separator + row;
  }
  if (values !== '') yield head + values + tail;
}
