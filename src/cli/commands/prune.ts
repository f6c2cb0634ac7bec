import type { Command } from 'commander';
import { json } from '../../formats/json.ts';
import { PART_LABELS } from '../../formats/labels.ts';
import { instant, quantity } from '../../formats/numbers.ts';
import { type PruneResult, prune } from '../../maintenance/prune.ts';
import type { Part } from '../../storage/retention.ts';
import { wrapped } from '../formats/wrap.ts';
import { type Io, print } from '../io.ts';
import { withProgress } from '../progress-line.ts';
import { withStorage } from './maintenance.ts';
import { addStorageOption } from './options.ts';

interface Options {
  storage: string;
  site: string;
  before?: string;
  records?: true;
  hours?: true;
  days?: true;
  months?: true;
  dryRun?: true;
  trustClock?: true;
  json?: true;
}

const EXAMPLES = `
Examples:
  track-usage prune --storage usage.db --dry-run
  track-usage prune --storage usage.db --before 2026-09-01 --records
  track-usage prune --storage usage.db --before 2025-01-01 --days

The app deletes expired data automatically, according to the storage option
retention.`;

/** Parts that are deleted before a given date, unless they are named. */
const DEFAULT_PARTS: readonly Part[] = ['records', 'hour'];

export function addPruneCommand(program: Command, io: Io): void {
  const command = program
    .command('prune')
    .summary('deletes data that has exceeded its retention, or is older than a date')
    .description(
      'Deletes data that has exceeded the retention stored by the app, or that is older than a given date. The app may continue to store requests.',
    );
  addStorageOption(command)
    .option('--site <site>', 'site name, as in the app', 'default')
    .option(
      '--before <date>',
      "delete data before this date, such as 2026-09-01, rounded down to a day (records and hours) or month; in the site's time zone",
    )
    .option(
      '--records',
      'delete records (default: every part with a retention; with --before: records and hours)',
    )
    .option('--hours', 'delete the hours of summaries')
    .option('--days', 'delete the days of summaries, and their hours')
    .option('--months', 'delete the months of summaries, and their days and hours')
    .option(
      '--trust-clock',
      'apply the retention even if the clock is more than 7 days ahead of the last deletion',
    )
    .option('--dry-run', 'print what would be deleted, and delete nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => run(options, io));
}

async function run(options: Options, io: Io): Promise<void> {
  const { storage: url, site, before, trustClock = false, dryRun = false } = options;
  const named = partsOf(options);
  const parts = named.length > 0 ? named : before === undefined ? undefined : DEFAULT_PARTS;
  const result = await withStorage(url, (storage) =>
    withProgress(io, (progress) =>
      prune({
        ...{ storage, site, before, parts, trustClock, dryRun },
        onProgress: ({ part, rows }) =>
          progress.show(() =>
            part === 'texts'
              ? 'deleting unused texts'
              : `${quantity(rows, 'row')} of ${PART_LABELS[part].toLowerCase()}`,
          ),
      }),
    ),
  );
  await print(io, options.json ? [`${json(result)}\n`] : wrapped(lines(result, named, dryRun), io));
}

function partsOf({ records, hours, days, months }: Options): Part[] {
  const all: [Part, true | undefined][] = [
    ['records', records],
    ['hour', hours],
    ['day', days],
    ['month', months],
  ];
  return all.filter(([, isNamed]) => isNamed).map(([part]) => part);
}

function* lines(
  { parts, jump, corrected }: PruneResult,
  named: readonly Part[],
  dryRun: boolean,
): Generator<string> {
  if (parts.length === 0) {
    yield 'Nothing to delete: the app has stored no retention, or keeps everything. To delete data before a date, add --before.\n';
  }
  for (const { part, before, rows } of parts) {
    const of = ` of ${PART_LABELS[part].toLowerCase()}`;
    const count =
      part === 'records' ? quantity(rows, 'record') : `${quantity(rows, dryRun ? 'bucket' : 'row')}${of}`;
    const what = `${count} before ${instant(before)}`;
    yield dryRun ? `To delete: ${what}.\n` : `Deleted: ${what}.\n`;
  }
  const kept = named.filter((part) => parts.length > 0 && !parts.some((done) => done.part === part));
  for (const part of kept) {
    const label = PART_LABELS[part].toLowerCase();
    yield `No ${label} to delete: they are kept forever. To delete ${label} before a date, add --before.\n`;
  }
  for (const { part, start } of corrected) {
    const what = `start of the kept ${PART_LABELS[part].toLowerCase()}, which a wrong clock had moved into the future`;
    yield dryRun
      ? `To correct: the ${what}, to ${instant(start)}.\n`
      : `Corrected: the ${what}, to ${instant(start)}.\n`;
  }
  if (dryRun && jump) {
    yield `The clock says ${instant(jump.now)}, but the last deletion or record dates from ${instant(jump.last)}. If the clock is right, delete with --trust-clock.\n`;
  }
}
