import type { SumRow } from './contract.ts';
import { measuresOf } from './measures.ts';

/**
 * Converts a row of sums from an engine's driver.
 * @param bucket In ms since 1970.
 */
export function sumRowOf(bucket: number, key: unknown, sums: Readonly<Record<string, unknown>>): SumRow {
  return { bucket, key: (key ?? null) as string | null, ...measuresOf(sums) };
}
