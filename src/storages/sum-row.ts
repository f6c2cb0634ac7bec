import type { SumRow } from './contract.ts';

/**
 * A row of sums as an engine's driver gives it: numbers, large ones as text, or as objects of its own. Those that pass
 * 2^53 are rounded.
 * @param bucket In ms since 1970.
 */
export function sumRowOf(
  bucket: number,
  key: unknown,
  { hits, transfer, errors, duration }: Readonly<Record<string, unknown>>,
): SumRow {
  return {
    bucket,
    key: (key ?? null) as string | null,
    hits: Number(hits),
    transfer: Number(transfer),
    errors: Number(errors),
    duration: Number(duration),
  };
}
