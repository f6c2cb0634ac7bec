import type { Command } from 'commander';
import { json } from '../../formats/json.ts';
import { MEASURE_LABELS, NO_KEY, OVER_BUDGET } from '../../formats/labels.ts';
import { bucket, integer, quantity } from '../../formats/numbers.ts';
import { type Difference, type VerifyResult, verify } from '../../maintenance/verify.ts';
import { MEASURES } from '../../storage/measures.ts';
import { COVERAGE, OTHERS } from '../../summaries/coverage.ts';
import { type Column, table } from '../formats/table.ts';
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

const EXAMPLES = `
Examples:
  track-usage verify --storage usage.db
  track-usage verify --storage usage.db --from 2026-11-29 --to 2026-11-29
  track-usage verify --storage postgres://user@host/app --summary urls --json

If there are differences, the exit code is 1. To repair them, run track-usage
rebuild.`;

export function addVerifyCommand(program: Command, io: Io): void {
  const command = program
    .command('verify')
    .summary('counts the records again and lists differences in the summaries')
    .description(
      'Counts the stored records again, and lists the sums of the summaries that differ. Changes nothing. The app may continue to store requests.',
    );
  addScopeOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((options: ScopeCommandOptions) => run(options, io));
}

async function run(options: ScopeCommandOptions, io: Io): Promise<void> {
  await checkModule(options);
  const result = await withStorage(options.storage, (storage) =>
    withProgress(io, (progress) => verify(scopeOptionsOf(options, storage, progress))),
  );
  if (options.json) await print(io, [`${json(result)}\n`]);
  else await print(io, lines(result, io));
  if (result.count === 0) return;
  const it = result.count === 1 ? 'it' : 'them';
  throw new Unsuccessful(
    `${quantity(result.count, 'difference')} between the summaries and the records. To repair ${it}, run track-usage rebuild with the same options.`,
  );
}

function* lines(result: VerifyResult, io: Io): Generator<string> {
  const { differences, compared, count } = result;
  yield* table(COLUMNS, differences, io);
  if (count > differences.length) yield `… and ${integer(count - differences.length)} more\n`;
  if (compared === 0) yield 'Nothing could be compared.\n';
  else if (count === 0) yield `No differences in ${quantity(compared, 'bucket')} of summaries.\n`;
  yield* wrapped(notesOf(result), io);
}

const COLUMNS: readonly Column<Difference>[] = [
  { heading: 'Period', text: ({ period }) => period },
  { heading: 'Date', text: ({ period, date }) => bucket(period, date) },
  { heading: 'Summary', text: ({ summary }) => summary },
  { heading: 'Measure', text: (row) => MEASURE_LABELS[measureOf(row)] },
  { heading: 'Stored', right: true, text: (row) => integer(row.stored[measureOf(row)]) },
  { heading: 'Records', right: true, text: (row) => integer(row.counted[measureOf(row)]) },
  { heading: 'Key', text: keyText },
];

/** Returns the first measure that differs. */
function measureOf({ stored, counted }: Difference): (typeof MEASURES)[number] {
  return MEASURES.find((measure) => stored[measure] !== counted[measure]) ?? 'hits';
}

function keyText({ summary, key }: Difference): string {
  if (summary === COVERAGE.name) return key === null ? '(requests of people)' : '(requests of bots)';
  return key === OTHERS ? OVER_BUDGET : (key ?? NO_KEY);
}
