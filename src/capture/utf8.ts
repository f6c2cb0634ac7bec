import { Buffer, isUtf8 } from 'node:buffer';

/**
 * Decodes text of a request's head. Node returns each byte as one character (latin-1), and clients send
 * UTF-8. Invalid UTF-8 is returned unchanged.
 */
export function decodeUtf8(text: string): string {
  // A single native call is the cheapest check for ASCII, which nearly all texts are.
  if (Buffer.byteLength(text) === text.length || /[^\0-\xff]/.test(text)) return text;
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : text;
}
