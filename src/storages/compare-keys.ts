const SURROGATES = /[\ud800-\udfff]/;

/** By UTF-8 bytes, `null` last. */
export function compareKeys(a: string | null, b: string | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  // JavaScript compares UTF-16 units: of those, surrogates alone stand elsewhere than their bytes do.
  if (SURROGATES.test(a) || SURROGATES.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}
