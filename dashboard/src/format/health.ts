import type { UsageStatus } from '../api/types.ts';
import { integer } from './numbers.ts';

export interface Health {
  level: 'good' | 'warn' | 'bad' | 'none';
  label: string;
  lines: string[];
}

/** Lag from which the badge changes its level. In seconds. */
const LAG = { warn: 5, bad: 60 };

/** Returns the messages about the state of the displayed data. */
export function healthOf(status: UsageStatus | null | undefined): Health {
  if (!status) {
    return {
      level: 'none',
      label: 'Read-only',
      lines: ['This process only reads a database. It does not track an app.'],
    };
  }
  const bad: string[] = [];
  const warn: string[] = [];
  const { journal, dropped, storages } = status;
  if (journal.state === 'memory') {
    bad.push('The journal cannot be written. New requests are held in memory, and a crash would lose them.');
  }
  for (const [number, reason] of [
    [dropped.journal, 'because the journal could not be written'],
    [dropped.capture, 'because they could not be read, or arrived after the TrackUsage was closed'],
  ] as const) {
    if (number > 0) warn.push(`${requests(number)} not counted ${reason}.`);
  }
  for (const { storage, ok, lag, lost, rejected, error, hooks } of storages) {
    if (!ok && error) bad.push(`${storage} cannot be written: ${error.message}`);
    else if (!ok) warn.push(`${storage} is not open yet.`);
    const behind = `${storage} is ${count(Math.round(lag.seconds), 'second')} behind, with ${count(lag.records, 'request')} to store.`;
    if (lag.seconds > LAG.bad) bad.push(behind);
    else if (lag.seconds > LAG.warn) warn.push(behind);
    if (lost > 0) bad.push(`${requests(lost)} lost before reaching ${storage}.`);
    if (rejected > 0)
      warn.push(`${requests(rejected)} rejected by ${storage} and written to the reject file.`);
    const unhooked = hooks.dropped + hooks.failed;
    if (unhooked > 0)
      warn.push(
        `${count(unhooked, 'hook call')} of ${storage} failed or ${unhooked === 1 ? 'was' : 'were'} dropped.`,
      );
  }
  if (journal.slowAppends > 0) {
    const were = journal.slowAppends === 1 ? 'was' : 'were';
    warn.push(`${count(journal.slowAppends, 'write')} to the journal ${were} slow.`);
  }
  const lines = [...bad, ...warn];
  if (status.lastError && !lines.some((line) => line.includes(status.lastError!.message))) {
    lines.push(`Last error: ${status.lastError.message}`);
  }
  if (bad.length > 0) return { level: 'bad', label: 'Data incomplete', lines };
  if (warn.length > 0) return { level: 'warn', label: 'Needs attention', lines };
  const journaled = `${count(status.journaled, 'request')} of this process: each is stored or will be stored shortly.`;
  return { level: 'good', label: 'Data complete', lines: [journaled, ...lines] };
}

function requests(number: number): string {
  return `${count(number, 'request')} ${number === 1 ? 'was' : 'were'}`;
}

/** Formats a number of things: `1 request`, `1,234 requests`. */
function count(number: number, noun: string): string {
  return `${integer(number)} ${noun}${number === 1 ? '' : 's'}`;
}
