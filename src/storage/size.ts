import type { PartSize, StorageSize } from './contract.ts';

/** Returns the size of a part about which nothing is known. */
export function unknownPart(): PartSize {
  return { rows: null, bytes: null, indexes: null };
}

/** Returns the size of a storage about which nothing is known. */
export function unknownSize(): StorageSize {
  return {
    records: unknownPart(),
    hour: unknownPart(),
    day: unknownPart(),
    month: unknownPart(),
    texts: unknownPart(),
    free: null,
    total: null,
  };
}
