import type { Capture } from '../capture/capture.ts';
import { show, TrackUsageError } from '../errors.ts';
import type { Trust } from '../frameworks/node.ts';
import { checkOptions } from '../options/checks.ts';
import type { TrackUsageOptions } from '../options/tracker-options.ts';
import type { RecordWriter } from '../storage/writer.ts';
import { TrackUsage } from '../tracker/tracker.ts';

/** A TrackUsage, or the arguments to create one, which is then closed with the app. */
export type UsageSource =
  | {
      /** TrackUsage of the app, which you close. */
      usage: TrackUsage<object>;
    }
  | ({
      /** One or several storages and writers, for a TrackUsage that is closed with the app. */
      storages: RecordWriter | readonly RecordWriter[];
    } & TrackUsageOptions);

/** Returns the capture used by a middleware. Throws if the argument is not a TrackUsage. */
export function captureOf(usage: TrackUsage<object>): { capture: Capture; trust: Trust | undefined } {
  if (usage instanceof TrackUsage) return usage.openCapture();
  throw new TrackUsageError('OPTION_INVALID', {
    name: 'usage',
    value: show(usage),
    expected: 'a TrackUsage: new TrackUsage(null, storages)',
  });
}

/** Returns the TrackUsage. `isOwn` is set if it was created here and must be closed with the app. */
export function usageOf(where: string, source: UsageSource): { usage: TrackUsage<object>; isOwn: boolean } {
  if ('usage' in source) {
    checkOptions(where, source, ['usage']);
    captureOf(source.usage);
    return { usage: source.usage, isOwn: false };
  }
  const { storages, ...options } = source;
  if (storages === undefined) {
    throw new TrackUsageError('OPTION_INVALID', {
      name: 'storages',
      value: show(storages),
      expected: 'a storage, a list of them, or a TrackUsage as usage',
    });
  }
  return { usage: new TrackUsage(null, storages, options), isOwn: true };
}
