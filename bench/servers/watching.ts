import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks';
import { handled } from './handler.ts';
import type { Tracking } from './variant.ts';

/** A moment of a server that runs for long. Sizes in bytes. */
export interface Sample {
  /** In ms. */
  time: number;
  handled: number;
  rss: number;
  /** Of the app's thread: what V8 has for its heap, and how much of that is used. */
  heapTotal: number;
  heapUsed: number;
  /** How late the event loop was since the sample before. In ms. */
  delay: { median: number; p99: number; max: number };
  /** What `status()` says. */
  lag: { records: number; seconds: number };
  journalBytes: number;
}

/** How often the event loop's delay is looked at. In ms. */
const RESOLUTION = 10;

/** Samples a server; watching the event loop begins here. */
export function watch({ status }: Tracking): () => Sample {
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

/** It measures from one look to the next, so that the resolution is part of each value. */
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
    // The writer deletes what is stored.
    bytes += statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}
