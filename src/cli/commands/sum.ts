import { type Command, Option } from 'commander';
import { gapText } from '../../formats/coverage.ts';
import { csv } from '../../formats/csv.ts';
import { jsonArray } from '../../formats/json.ts';
import { bucket, bytes, milliseconds, whole } from '../../formats/numbers.ts';
import { getSum, type Sum, type SumOptions, sumCoverage, summaryName } from '../../query/sums-and-records.ts';
import { PERIODS, type Period } from '../../summaries/periods.ts';
import { known, STANDARD_SUMMARIES } from '../../summaries/standard.ts';
import { type Column, table } from '../formats/table.ts';
import { type Io, print } from '../io.ts';
import { withReader } from '../storage.ts';
import { addCommonOptions, type CommonOptions, queryOf } from './options.ts';

interface Options extends CommonOptions {
  period: Period;
  target?: string;
  targetNull?: true;
}

const FIELDS = ['period', 'date', 'key', 'hits', 'transfer', 'errors', 'duration'] as const;

const EXAMPLES = `
Examples:
  track-usage sum urls --storage sqlite:usage.db --period day --from 2026-11-01
  track-usage sum referrers --storage usage.db --target https://example.com/
  track-usage sum urls --storage mysql://user@host/usage --limit 10
  track-usage sum bots --storage usage.db --limit 0 --format csv > bots.csv`;

/** Columns of the table. The key is the last one, so that hostile text cannot look like another column. */
const COLUMNS: readonly Column<Sum>[] = [
  { heading: 'date', text: ({ period, date }) => bucket(period, date) },
  { heading: 'hits', right: true, text: ({ hits }) => whole(hits) },
  { heading: 'transfer', right: true, text: ({ transfer }) => bytes(transfer) },
  {
    heading: 'errors',
    right: true,
    text: ({ errors }) => whole(errors),
    style: ({ errors }) => (errors > 0 ? 'red' : undefined),
  },
  { heading: 'avg ms', right: true, text: ({ duration, hits }) => milliseconds(duration / hits) },
  { heading: 'key', text: ({ key }) => key },
];

export function addSumCommand(program: Command, io: Io): void {
  const command = program
    .command('sum')
    .summary('hits, transfer, errors and average time of each key of a summary')
    .description(
      'Prints the hits, transfer, errors and average time of each key of a summary, newest bucket first.',
    )
    .argument(
      '<name>',
      `summary: ${STANDARD_SUMMARIES.map(({ name }) => name).join(', ')}, or one of the app's own`,
    )
    .addOption(new Option('--period <period>', 'length of a bucket').choices(PERIODS).default('day'))
    .option('--target <key>', 'this key only')
    .addOption(new Option('--target-null', 'only the requests without a key').conflicts('target'));
  addCommonOptions(command, 'bucket')
    .addHelpText('after', EXAMPLES)
    .action((name: string, options: Options) => sum(name, options, io));
}

async function sum(name: string, options: Options, io: Io): Promise<void> {
  const { period, target, targetNull } = options;
  // Rejects a group before any file is opened.
  summaryName(name);
  const query: SumOptions & { period: Period } = { ...queryOf(options), period };
  if (targetNull) query.target = null;
  else if (target !== undefined) query.target = target;
  const { rows, coverage } = await withReader(options.storage, async (reader) => ({
    rows: await getSum(reader, name, query),
    coverage: await sumCoverage(reader, name, query),
  }));
  await printSums(name, rows, options, io);
  // Written to stderr, so that programs can parse stdout.
  for (const gap of coverage.gaps) await io.stderr(`${gapText(gap)}\n`);
}

async function printSums(
  name: string,
  rows: readonly Sum[],
  { limit, page, format }: Options,
  io: Io,
): Promise<void> {
  switch (format) {
    case 'json':
      return print(io, jsonArray(rows));
    case 'csv':
      return print(
        io,
        csv(
          FIELDS,
          rows.map((row) => FIELDS.map((field) => row[field])),
        ),
      );
    case 'table': {
      if (rows.length === 0) {
        await io.stderr(
          `Nothing found: check --from, --to, --page and --site, and that ${known(name)?.title ?? name} is among the hooks of the storage.\n`,
        );
      }
      const isAll = limit === 0 || (page <= 1 && rows.length < limit);
      const footer = rows.length > 1 ? totals(rows, isAll ? 'total' : 'this page') : undefined;
      return print(io, table(COLUMNS, rows, io, footer));
    }
  }
}

function totals(rows: readonly Sum[], label: string): string[] {
  const total = (field: 'hits' | 'transfer' | 'errors' | 'duration') =>
    rows.reduce((sum, row) => sum + row[field], 0);
  const hits = total('hits');
  return [
    label,
    whole(hits),
    bytes(total('transfer')),
    whole(total('errors')),
    milliseconds(total('duration') / hits),
    '',
  ];
}
