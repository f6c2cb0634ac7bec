import { asStored } from '../text/text.ts';

/**
 * Normalizes a text for searching: the letters A to Z match in either case, all other characters exactly.
 * Engines agree on no more. Their definition of lowercase depends on version, locale and collation.
 */
export function foldCase(text: string): string {
  return asStored(text).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
