import type { TrackUsageError } from '../errors.ts';

/** Treats a database that does not exist yet as empty. */
export async function orElse<T, E>(answer: Promise<T>, nothing: E): Promise<T | E> {
  try {
    return await answer;
  } catch (error) {
    if ((error as TrackUsageError).code !== 'STORAGE_NOT_FOUND') throw error;
    return nothing;
  }
}
