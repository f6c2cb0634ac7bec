import { asStored } from '../text.ts';

/**
 * How texts are searched everywhere: the letters A to Z are found in either case, and every other character as it is.
 * Engines agree on no more than that: what they call lower case depends on their version, their locale and their
 * collations.
 */
export function foldCase(text: string): string {
  return asStored(text).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
