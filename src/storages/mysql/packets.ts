import type { Query, Row } from './session.ts';

/**
 * Maximum size of a statement, if the server allows it. Larger ones are not faster, and one of this size is
 * sent before the next is ready. In bytes.
 */
const MAX_STATEMENT_BYTES = 256 * 1024;
/** Bytes of a packet besides the statement's text: the command and some reserve. */
const OVERHEAD = 64;

/** Statement for many rows. Not sent if there are none. */
export interface RowsStatement {
  head: string;
  rows: Iterable<string>;
  tail: string;
  /** Separator between rows. Defaults to a comma. */
  separator?: string;
}

/** Thrown for a row that exceeds the maximum statement size of the server. */
export class RowTooLarge extends Error {
  /** @param packet The server's `max_allowed_packet`, in bytes. */
  constructor(bytes: number, packet: number) {
    super(`a row takes ${bytes} bytes, and max_allowed_packet of the server is ${packet}`);
  }
}

/**
 * Sends many rows as statements that fit the server's packet size. The next statement is built while the
 * server runs the last one. All texts are ASCII.
 * @param packet The server's `max_allowed_packet`, in bytes.
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
      // Building the next statement may fail before this promise is awaited.
      sent.catch(() => {});
    }
  }
  if (sent) found.push(...(await sent));
  return found;
}

function* piecesOf({ head, rows, tail, separator = ',' }: RowsStatement, packet: number): Generator<string> {
  const most = Math.min(MAX_STATEMENT_BYTES, packet / 2) - head.length - tail.length;
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
