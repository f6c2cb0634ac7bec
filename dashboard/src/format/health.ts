import type { UsageStatus } from '../api/types.ts';
import { full } from './numbers.ts';

export interface Health {
  level: 'good' | 'warn' | 'bad' | 'none';
  label: string;
  lines: string[];
}

/** Lag at which numbers count as outdated. In seconds. */
const LAG = { warn: 5, bad: 60 };

/** Returns the messages about the state of the displayed data. */
export function healthOf(status: UsageStatus | null | undefined): Health {
  if (!status) {
    return {
      level: 'none',
      label: 'Read-only',
      lines: ['A read-only view of a database: no app is tracked by this process.'],
    };
  }
  const bad: string[] = [];
  const warn: string[] = [];
  const { journal, dropped, storages } = status;
  if (journal.state === 'memory') {
    bad.push('The journal cannot be written: new requests are held in memory and would be lost in a crash.');
  }
  for (const [count, reason] of [
    [dropped.journal, 'because the journal could not be written'],
    [dropped.capture, 'because they could not be read or came after the end'],
  ] as const) {
    if (count > 0) warn.push(`${requests(count)} not counted ${reason}.`);
  }
  for (const { storage, ok, lag, lost, rejected, error, hooks } of storages) {
    if (!ok && error) bad.push(`${storage} cannot be written: ${error.message}`);
    else if (!ok) warn.push(`${storage} is not open yet.`);
    const behind = `${storage} is ${full(Math.round(lag.seconds))} seconds behind, with ${full(lag.records)} requests to store.`;
    if (lag.seconds > LAG.bad) bad.push(behind);
    else if (lag.seconds > LAG.warn) warn.push(behind);
    if (lost > 0) bad.push(`${requests(lost)} lost on the way to ${storage}.`);
    if (rejected > 0) warn.push(`${requests(rejected)} refused by ${storage}, and kept in the reject file.`);
    const unhooked = hooks.dropped + hooks.failed;
    if (unhooked > 0)
      warn.push(`${full(unhooked)} calls of the hooks of ${storage} failed or were left out.`);
  }
  if (journal.slowAppends > 0) warn.push(`${full(journal.slowAppends)} writes to the journal were slow.`);
  const lines = [...bad, ...warn];
  if (status.lastError && !lines.some((line) => line.includes(status.lastError!.message))) {
    lines.push(`Reported last: ${status.lastError.message}`);
  }
  if (bad.length > 0) return { level: 'bad', label: 'Data incomplete', lines };
  if (warn.length > 0) return { level: 'warn', label: 'Needs a look', lines };
  const journaled = `All ${full(status.journaled)} requests of this process are stored or about to be.`;
  return { level: 'good', label: 'Data complete', lines: [journaled, ...lines] };
}

function requests(count: number): string {
  return count === 1 ? '1 request was' : `${full(count)} requests were`;
}
