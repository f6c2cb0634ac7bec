import { version } from '../platform/version.ts';
import type { StorageStatus, UsageStatus } from '../writer/app/status.ts';
import { Exposition, label } from './exposition.ts';

type Metric<Of> = [name: string, type: 'counter' | 'gauge', help: string, value: (of: Of) => number];

const OF_APP: Metric<UsageStatus>[] = [
  ['captured_requests', 'counter', 'Completed requests.', ({ captured }) => captured],
  ['journaled_records', 'counter', 'Records accepted by the journal.', ({ journaled }) => journaled],
  [
    'journal_on_disk',
    'gauge',
    '1 while the journal is written to a file, 0 while records wait in memory.',
    ({ journal }) => Number(journal.state !== 'memory'),
  ],
  [
    'journal_slow_appends',
    'counter',
    'Appends to the journal that took longer than 50 ms.',
    ({ journal }) => journal.slowAppends,
  ],
  ['writer_restarts', 'counter', 'Restarts of the writer thread.', ({ writerRestarts }) => writerRestarts],
];

const OF_STORAGE: Metric<StorageStatus>[] = [
  [
    'up',
    'gauge',
    '1 if the storage is open and its last batch succeeded, 0 otherwise.',
    ({ ok }) => Number(ok),
  ],
  ['committed_records', 'counter', 'Records of this process that were stored.', (s) => s.committed],
  ['adopted_records', 'counter', 'Records of dead processes that were stored.', (s) => s.adopted],
  ['rejected_records', 'counter', 'Records that the storage rejected.', (s) => s.rejected],
  [
    'lost_records',
    'counter',
    'Records dropped at the limit of the journal, damaged on disk, or deleted with their file.',
    (s) => s.lost,
  ],
  ['lag_records', 'gauge', 'Records that are journaled but not stored yet.', ({ lag }) => lag.records],
  [
    'lag_seconds',
    'gauge',
    'Time since which records have been waiting to be stored.',
    ({ lag }) => lag.seconds,
  ],
  ['pruned_rows', 'counter', 'Rows deleted because of the retention.', (s) => s.pruned],
  [
    'over_budget_texts',
    'counter',
    'Texts replaced because the hourly budget was reached.',
    (s) => s.budgets.texts,
  ],
  ['hooks_pending_records', 'gauge', 'Records waiting for hook functions.', (s) => s.hooks.pending],
  [
    'hooks_dropped_records',
    'counter',
    'Records dropped because hook functions were too slow.',
    (s) => s.hooks.dropped,
  ],
  ['hooks_failed_calls', 'counter', 'Failed calls of hook functions.', (s) => s.hooks.failed],
];

/** Formats the values of `status()`. */
export function healthText(status: UsageStatus, openMetrics: boolean): string {
  const text = new Exposition(openMetrics);
  text
    .begin('track_usage_build_info', 'gauge', 'Versions of track-usage and Node.')
    .sample(1, [label('version', version()), label('node', process.versions.node)].join());
  for (const [name, type, help, value] of OF_APP) {
    text.begin(`track_usage_${name}`, type, help).sample(value(status));
  }
  text.begin('track_usage_dropped_records', 'counter', 'Requests that no storage will receive, by reason.');
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
  text.begin(
    'track_usage_storage_key_budget_reached_timestamp_seconds',
    'gauge',
    'Time at which a summary last had no room for more keys.',
  );
  status.storages.forEach(({ budgets }, index) => {
    for (const { summary, date } of budgets.keys) {
      const labels = [label('storage', names[index]!), label('summary', summary)].join();
      text.sample(Date.parse(date) / 1000, labels);
    }
  });
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
