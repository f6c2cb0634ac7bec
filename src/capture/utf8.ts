import { Buffer, isUtf8 } from 'node:buffer';

/**
 * Text of a request's head: Node hands out each byte as one character (latin-1), and clients send UTF-8. Bytes that are
 * not valid UTF-8 stay as Node hands them out.
 */
export function decodeUtf8(text: string): string {
  // One native call, the cheapest way to see that a text is ASCII, as nearly all are.
  if (Buffer.byteLength(text) === text.length || /[^\0-\xff]/.test(text)) return text;
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : text;
}
