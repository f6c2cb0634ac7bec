import { version } from '../platform/version.ts';
import type { StorageStatus, UsageStatus } from '../writer/app/status.ts';
import { Exposition, label } from './exposition.ts';

type Metric<Of> = [name: string, type: 'counter' | 'gauge', help: string, value: (of: Of) => number];

const OF_APP: Metric<UsageStatus>[] = [
  ['captured_requests', 'counter', 'Requests that were seen to their end.', ({ captured }) => captured],
  ['journaled_records', 'counter', 'Records that the journal took.', ({ journaled }) => journaled],
  [
    'journal_on_disk',
    'gauge',
    'Whether the journal is written to a file; 0 while records wait in memory.',
    ({ journal }) => Number(journal.state !== 'memory'),
  ],
  [
    'journal_slow_appends',
    'counter',
    'Appends to the journal that took longer than 50 ms.',
    ({ journal }) => journal.slowAppends,
  ],
  [
    'writer_restarts',
    'counter',
    'How often the thread of the writer was started again.',
    ({ writerRestarts }) => writerRestarts,
  ],
];

const OF_STORAGE: Metric<StorageStatus>[] = [
  ['up', 'gauge', 'Whether the storage was opened and its last batch went well.', ({ ok }) => Number(ok)],
  ['committed_records', 'counter', 'Records of this process that the storage has.', (s) => s.committed],
  ['adopted_records', 'counter', 'Records of dead processes that the storage was given.', (s) => s.adopted],
  ['rejected_records', 'counter', 'Records that the storage refused.', (s) => s.rejected],
  [
    'lost_records',
    'counter',
    'Records dropped at the limit of the journal, damaged on disk, or deleted with their file.',
    (s) => s.lost,
  ],
  ['lag_records', 'gauge', 'Records that are journaled and not stored yet.', ({ lag }) => lag.records],
  ['lag_seconds', 'gauge', 'For how long there have been records to store.', ({ lag }) => lag.seconds],
  [
    'hooks_pending_records',
    'gauge',
    'Records that wait for functions among the hooks.',
    (s) => s.hooks.pending,
  ],
  ['hooks_dropped_records', 'counter', 'Records that came too fast for the hooks.', (s) => s.hooks.dropped],
  ['hooks_failed_calls', 'counter', 'Calls of hooks that failed.', (s) => s.hooks.failed],
];

/** Formats the values of `status()`. */
export function healthText(status: UsageStatus, openMetrics: boolean): string {
  const text = new Exposition(openMetrics);
  text
    .begin('track_usage_build_info', 'gauge', 'The release of track-usage, and that of Node.')
    .sample(1, [label('version', version()), label('node', process.versions.node)].join());
  for (const [name, type, help, value] of OF_APP) {
    text.begin(`track_usage_${name}`, type, help).sample(value(status));
  }
  text.begin('track_usage_dropped_records', 'counter', 'Requests that no storage will get, by reason.');
  for (const [reason, records] of Object.entries(status.dropped)) {
    text.sample(records, label('reason', reason));
  }
  const names = distinct(status.storages.map(({ storage }) => storage));
  for (const [name, type, help, value] of OF_STORAGE) {
    text.begin(`track_usage_storage_${name}`, type, help);
    status.storages.forEach((storage, index) => {
      text.sample(value(storage), label('storage', names[index]!));
    });
  }
  return text.toString();
}

/**
 * Returns distinct labels. Two storages may have the same label, but Prometheus rejects a response with
 * duplicate series.
 */
function distinct(labels: readonly string[]): string[] {
  const names = new Set<string>();
  for (const text of labels) {
    let name = text;
    for (let number = 2; names.has(name); number++) name = `${text} (${number})`;
    names.add(name);
  }
  return [...names];
}
