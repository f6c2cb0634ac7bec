import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks';
import { handled } from './handler.ts';
import type { Tracking } from './variant.ts';

/** State of a long-running server at one moment. Sizes in bytes. */
export interface Sample {
  /** Time in ms. */
  time: number;
  handled: number;
  rss: number;
  /** Size of the app thread's V8 heap, and the part in use. */
  heapTotal: number;
  heapUsed: number;
  /** Delay of the event loop since the previous sample. In ms. */
  delay: { median: number; p99: number; max: number };
  /** Lag from `status()`. */
  lag: { records: number; seconds: number };
  journalBytes: number;
}

/** Resolution of the event loop's delay. In ms. */
const RESOLUTION = 10;

/** Starts to monitor the event loop, and returns a function that takes a sample. */
export function startSampling({ status }: Tracking): () => Sample {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  histogram.enable();
  return () => {
    const { rss, heapTotal, heapUsed } = process.memoryUsage();
    const { journal, storages } = status();
    const sample = {
      time: performance.now(),
      handled: handled.count,
      rss,
      heapTotal,
      heapUsed,
      delay: delays(histogram),
      lag: storages[0]!.lag,
      journalBytes: bytesIn(journal.directory),
    };
    histogram.reset();
    return sample;
  };
}

/** Returns the delays without the resolution, which the histogram includes in each value. */
function delays(histogram: Pick<RecordableHistogram, 'percentile' | 'max'>): Sample['delay'] {
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION);
  return {
    median: late(histogram.percentile(50)),
    p99: late(histogram.percentile(99)),
    max: late(histogram.max),
  };
}

function bytesIn(directory: string): number {
  let bytes = 0;
  for (const name of readdirSync(directory)) {
    // The writer deletes stored segments.
    bytes += statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}
