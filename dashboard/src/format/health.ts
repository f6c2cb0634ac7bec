import { OVER_BUDGET, PART_LABELS } from '../../../src/formats/labels.ts';
import type { KeptPart, UsageStatus, Verification } from '../api/types.ts';
import { show } from './dates.ts';
import { quantity } from './numbers.ts';

export interface Health {
  level: 'good' | 'warn' | 'bad' | 'none';
  label: string;
  lines: string[];
}

const DAY_MS = 86_400_000;
/** Lag from which the badge changes its level. In seconds. */
const LAG = { warn: 5, bad: 60 };

/** Returns the messages about the state of the displayed data. */
export function healthOf(
  status: UsageStatus | null | undefined,
  retention: readonly KeptPart[] = [],
  now = Date.now(),
): Health {
  const kept = retentionLines(retention);
  if (!status) {
    return {
      level: 'none',
      label: 'Read-only',
      lines: ['This process only reads a database. It does not track an app.', ...kept],
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
  const notes: string[] = [];
  for (const { storage, ok, lag, lost, rejected, error, hooks, budgets } of storages) {
    if (!ok && error) bad.push(`${storage} cannot be written: ${error.message}`);
    else if (!ok) warn.push(`${storage} is not open yet.`);
    const behind = `${storage} is ${quantity(Math.round(lag.seconds), 'second')} behind, with ${quantity(lag.records, 'request')} to store.`;
    if (lag.seconds > LAG.bad) bad.push(behind);
    else if (lag.seconds > LAG.warn) warn.push(behind);
    if (lost > 0) bad.push(`${requests(lost)} lost before reaching ${storage}.`);
    if (rejected > 0)
      warn.push(`${requests(rejected)} rejected by ${storage} and written to the reject file.`);
    const recent = budgets.keys.filter(({ date }) => now - Date.parse(date) < DAY_MS);
    if (recent.length > 0) {
      const names = recent.map(({ summary }) => summary).join(', ');
      warn.push(`${storage} reached the key budget of ${names}: new keys are counted under ${OVER_BUDGET}.`);
    }
    if (budgets.texts > 0) {
      notes.push(
        `${storage} replaced ${quantity(budgets.texts, 'text')} beyond the hourly budget of new texts.`,
      );
    }
    const unhooked = hooks.dropped + hooks.failed;
    if (unhooked > 0)
      warn.push(
        `${quantity(unhooked, 'hook call')} of ${storage} failed or ${unhooked === 1 ? 'was' : 'were'} dropped.`,
      );
  }
  if (journal.slowAppends > 0) {
    const were = journal.slowAppends === 1 ? 'was' : 'were';
    // Nothing was lost, and it may have been long ago.
    notes.push(`${quantity(journal.slowAppends, 'write')} to the journal ${were} slow.`);
  }
  const lines = [...bad, ...warn, ...notes];
  if (status.lastError && !lines.some((line) => line.includes(status.lastError!.message))) {
    lines.push(`Last error: ${status.lastError.message}`);
  }
  if (bad.length > 0) return { level: 'bad', label: 'Data incomplete', lines: [...lines, ...kept] };
  if (warn.length > 0) return { level: 'warn', label: 'Needs attention', lines: [...lines, ...kept] };
  const journaled = `${quantity(status.journaled, 'request')} of this process: each is stored or will be stored shortly.`;
  return { level: 'good', label: 'Data complete', lines: [journaled, ...lines, ...kept] };
}

const PARTS = { ...PART_LABELS, records: 'Requests' } as const;
const UNITS: Readonly<Record<string, string>> = { h: 'hour', d: 'day', mo: 'month', y: 'year' };

/** Describes the retention of each part of the storage. */
function retentionLines(retention: readonly KeptPart[]): string[] {
  return retention.map(({ part, keep, before }) => {
    const [, number, unit] = /^(\d+)(\w+)$/.exec(keep) ?? [];
    const time = unit === undefined ? 'forever' : `for ${quantity(Number(number), UNITS[unit] ?? unit)}`;
    return `${PARTS[part]} are kept ${time}${before === null ? '' : `, currently since ${show(before, 'dayAndYear')}`}.`;
  });
}

/** Describes the result of a verification. */
export function verificationText({ date, compared, count: differences, notCovered }: Verification): string {
  const day = show(date, 'dayAndYear');
  if (differences > 0) {
    return `${day}: ${quantity(differences, 'difference')} between the summaries and the records. To repair them, run track-usage rebuild with --from ${date} --to ${date}.`;
  }
  if (compared === 0 && notCovered > 0) return `${day}: the records are no longer complete.`;
  return compared === 0
    ? `${day}: no requests to compare.`
    : `${day}: no differences in ${quantity(compared, 'bucket')} of summaries.`;
}

function requests(number: number): string {
  return `${quantity(number, 'request')} ${number === 1 ? 'was' : 'were'}`;
}
