import { type Command, InvalidArgumentError } from 'commander';
import { json } from '../../formats/json.ts';
import { bucket, quantity } from '../../formats/numbers.ts';
import { rebuild } from '../../maintenance/rebuild.ts';
import type { RebuildResult } from '../../maintenance/rebuild-buckets.ts';
import { wrapped } from '../formats/wrap.ts';
import { type Io, print, Unsuccessful } from '../io.ts';
import { withProgress } from '../progress-line.ts';
import {
  addScopeOptions,
  checkModule,
  notesOf,
  type ScopeCommandOptions,
  scopeOptionsOf,
  withStorage,
} from './maintenance.ts';

interface Options extends ScopeCommandOptions {
  maxKeys?: number;
  force?: true;
  timeZone?: string;
}

const EXAMPLES = `
Examples:
  track-usage rebuild --storage usage.db
  track-usage rebuild --storage usage.db --summary referrers --from 2026-11-01
  track-usage rebuild --storage usage.db --summary hosts --module ./hosts.js
  track-usage rebuild --storage usage.db --time-zone Europe/Berlin

The app may continue to store requests, except while the time zone is changed.
After an interruption, run the same command again.`;

export function addRebuildCommand(program: Command, io: Io): void {
  const command = program
    .command('rebuild')
    .summary('repairs summaries, fills a new one, or changes the time zone, from the records')
    .description(
      'Corrects the summaries to match the stored records, and adds requests that were stored before a summary existed. Buckets whose records are no longer complete are left unchanged.',
    );
  addScopeOptions(command)
    .option(
      '--max-keys <keys>',
      'maximum number of keys per bucket, as in the app (default: 10,000 per hour, 50,000 per day and month)',
      wholeNumber,
    )
    .option('--force', 'also rebuild buckets from which records are missing')
    .option('--time-zone <zone>', 'change the time zone of the site; stop all of its apps first')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => run(options, io));
}

async function run(options: Options, io: Io): Promise<void> {
  const { storage, maxKeys, force, timeZone } = options;
  await checkModule(options);
  const result = await withStorage(storage, (opened) =>
    withProgress(io, (progress) =>
      rebuild({ ...scopeOptionsOf(options, opened, progress), maxKeys, timeZone, force: force === true }),
    ),
  );
  if (options.json) await print(io, [`${json(result)}\n`]);
  else await print(io, wrapped(lines(result), io));
  const { refused } = result;
  if (refused.length === 0) return;
  throw new Unsuccessful(
    'Records are missing from these buckets, which were left unchanged. To reduce their sums to the records that are left, add --force.',
  );
}

function* lines(result: RebuildResult): Generator<string> {
  const { rebuilt, keys, filled, refused, timeZone } = result;
  if (timeZone !== undefined) yield `Time zone changed to ${timeZone}.\n`;
  if (rebuilt > 0) yield `Rebuilt: ${quantity(rebuilt, 'bucket')}, with ${quantity(keys, 'changed key')}.\n`;
  else if (refused.length > 0) yield 'Nothing was rebuilt.\n';
  else yield 'Nothing to rebuild: the summaries match the records.\n';
  if (filled > 0) yield `Added to summaries: ${quantity(filled, 'hit')} (hours, days and months combined).\n`;
  for (const { period, date, stored, records } of refused) {
    yield `The ${period} ${bucket(period, date)} has ${quantity(records, 'record')}, but ${quantity(stored, 'request')} in its summaries.\n`;
  }
  yield* notesOf(result);
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 1.');
  return Number(text);
}
