const SURROGATES = /[\ud800-\udfff]/;
/**
 * Swaps the ranks of surrogates, which encode characters above U+FFFF, and the units from U+E000 to U+FFFF.
 */
const FIRST_SURROGATE = 0xd800;
const BEHIND_SURROGATES = 0xe000;

/** Compares keys by their UTF-8 bytes, `null` last. */
export function compareKeys(a: string | null, b: string | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  // JavaScript compares UTF-16 units. The order differs only if there are surrogates.
  if (SURROGATES.test(a) || SURROGATES.test(b)) return compareUnits(a, b);
  return a < b ? -1 : 1;
}

function compareUnits(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at += 1;
  return at === length ? a.length - b.length : rank(a.charCodeAt(at)) - rank(b.charCodeAt(at));
}

function rank(unit: number): number {
  if (unit < FIRST_SURROGATE) return unit;
  return unit >= BEHIND_SURROGATES ? unit - 0x800 : unit + 0x2000;
}
