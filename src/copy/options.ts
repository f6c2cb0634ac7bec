import type { Storage } from '../query/storage.ts';

export interface CopyOptions {
  from: Storage;
  to: Storage;
  site: string;
  /** Name of the site in `to`. Defaults to `site`. */
  toSite?: string | undefined;
  /** Called after each chunk with the progress. */
  onProgress?: (progress: CopyProgress) => void;
}

export interface CopyProgress {
  step: 'records' | 'sums' | 'verify';
  /** Name of the summary, in the steps `sums` and `verify`. */
  summary?: string;
  /** Number of rows of this step so far, including those of an earlier run. */
  rows: number;
}
