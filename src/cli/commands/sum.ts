import { type Command, Option } from 'commander';
import { gapText } from '../../formats/coverage.ts';
import { csv } from '../../formats/csv.ts';
import { expiredText } from '../../formats/expired.ts';
import { jsonArray } from '../../formats/json.ts';
import { BUDGET_NOTE, keyLabel, MEASURE_LABELS } from '../../formats/labels.ts';
import { bucket, bytes, duration as durationText, integer } from '../../formats/numbers.ts';
import {
  expiredOf,
  getSum,
  type Sum,
  type SumOptions,
  storedSummaries,
  sumCoverage,
  summaryName,
} from '../../query/sums-and-records.ts';
import type { Part } from '../../storage/retention.ts';
import { OTHERS } from '../../summaries/coverage.ts';
import { PERIODS, type Period } from '../../summaries/periods.ts';
import { known, STANDARD_SUMMARIES, sumBots } from '../../summaries/standard.ts';
import { dateColumn } from '../formats/date-column.ts';
import { type Column, table } from '../formats/table.ts';
import { wrap } from '../formats/wrap.ts';
import { type Io, print } from '../io.ts';
import { withReader } from '../storage.ts';
import { addCommonOptions, type CommonOptions, isLastPage, queryOf } from './options.ts';

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
function columnsOf(rows: readonly Sum[], period: Period): readonly Column<Sum>[] {
  const dateText = (date: string) => bucket(period, date);
  return [
    period === 'hour'
      ? dateColumn(rows, ({ date }) => date, dateText)
      : { heading: 'Date', text: ({ date }) => dateText(date) },
    { heading: MEASURE_LABELS.hits, right: true, text: ({ hits }) => integer(hits) },
    { heading: MEASURE_LABELS.transfer, right: true, text: ({ transfer }) => bytes(transfer) },
    {
      heading: MEASURE_LABELS.errors,
      right: true,
      text: ({ errors }) => integer(errors),
      style: ({ errors }) => (errors > 0 ? 'red' : undefined),
    },
    {
      // On two lines, because it is the widest heading by far.
      heading: MEASURE_LABELS.average.replace(/ (?=\S+$)/, '\n'),
      right: true,
      optional: true,
      text: ({ duration, hits }) => durationText(duration / hits),
    },
    { heading: 'Key', text: ({ key }) => keyLabel(key) },
  ];
}

export function addSumCommand(program: Command, io: Io): void {
  const command = program
    .command('sum')
    .summary('prints a summary: hits, transfer, errors and avg. response time by key')
    .description(
      'Prints hits, transfer, errors and avg. response time for each key of a summary in each hour, day or month, newest first.',
    )
    .argument(
      '<name>',
      `summary: ${STANDARD_SUMMARIES.map(({ name }) => name).join(', ')}, or a custom summary of the app`,
    )
    .addOption(new Option('--period <period>', 'size of the buckets').choices(PERIODS).default('day'))
    .option('--target <key>', 'only this key')
    .addOption(new Option('--target-null', 'only the requests without a key').conflicts('target'));
  addCommonOptions(command, 'start of a bucket')
    .addHelpText('after', EXAMPLES)
    .action((name: string, options: Options) => sum(name, options, io));
}

async function sum(name: string, options: Options, io: Io): Promise<void> {
  const { period, target, targetNull } = options;
  // Rejects an invalid name before any file is opened.
  const summary = summaryName(name);
  const query: SumOptions & { period: Period } = { ...queryOf(options), period };
  if (targetNull) query.target = null;
  else if (target !== undefined) query.target = target;
  const { rows, coverage, stored, expired } = await withReader(options.storage, async (reader) => ({
    rows: await getSum(reader, name, query),
    coverage: await sumCoverage(reader, name, query),
    stored: await storedSummaries(reader, options.site),
    expired: await expiredOf(reader, partOf(name, options), query),
  }));
  await printSums(rows, options, io);
  const notes: string[] = [];
  if (stored.length > 0 && !stored.includes(summary)) {
    const standard = known(name);
    // The keys of a custom summary may need a module.
    const fill = standard ? `, then run track-usage rebuild --summary ${summary} to count older ones` : '';
    notes.push(
      `The storage has no data for ${standard?.title ?? name}. To count requests, add it to the hooks in the app${fill}.`,
    );
  } else if (rows.length === 0 && options.format === 'table') {
    notes.push('Nothing found: check --from, --to, --page, --target and --site.');
  }
  notes.push(...coverage.gaps.map(gapText));
  if (isLastPage(rows, options)) notes.push(...expired.map((each) => expiredText(each)));
  if (rows.some(({ key }) => key === OTHERS)) notes.push(BUDGET_NOTE);
  // Written to stderr, so that programs can parse stdout.
  for (const note of notes) await io.stderr(wrap(`${note}\n`, io));
}

/** Returns the part of the storage from which the sums are read. */
function partOf(name: string, { bots, period }: Options): Part {
  return bots === 'include' || summaryName(name) === sumBots.name ? period : 'records';
}

async function printSums(
  rows: readonly Sum[],
  { period, limit, page, format }: Options,
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
          rows.map((row) => FIELDS.map((field) => (field === 'key' ? keyLabel(row.key) : row[field]))),
        ),
      );
    case 'table': {
      const isAll = page <= 1 && isLastPage(rows, { limit });
      const footer = rows.length > 1 ? totals(rows, isAll ? 'Total' : 'This page') : undefined;
      return print(io, table(columnsOf(rows, period), rows, io, footer));
    }
  }
}

function totals(rows: readonly Sum[], label: string): string[] {
  const total = (field: 'hits' | 'transfer' | 'errors' | 'duration') =>
    rows.reduce((sum, row) => sum + row[field], 0);
  const hits = total('hits');
  return [
    label,
    integer(hits),
    bytes(total('transfer')),
    integer(total('errors')),
    durationText(total('duration') / hits),
    '',
  ];
}
