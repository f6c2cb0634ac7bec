const CODE = 'STORAGE_REPLACED';

/**
 * Thrown by a writing end if its database is no longer the one at its location. The message says how this was
 * detected. The code survives the transfer between threads.
 */
export class StorageReplaced extends Error {
  /** Always `StorageReplaced`. */
  override readonly name = 'StorageReplaced';
  /** Always `STORAGE_REPLACED`, which identifies the error in every thread. */
  readonly code = CODE;
}

export function isReplaced(error: unknown): error is StorageReplaced {
  return (error as { code?: unknown } | undefined)?.code === CODE;
}
