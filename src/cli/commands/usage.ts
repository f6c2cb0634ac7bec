import type { Command } from 'commander';
import { csv } from '../../formats/csv.ts';
import { expiredText } from '../../formats/expired.ts';
import { jsonArray } from '../../formats/json.ts';
import { MEASURE_LABELS } from '../../formats/labels.ts';
import { bytes, duration as durationText, instant } from '../../formats/numbers.ts';
import { RECORD_CELLS } from '../../formats/record-cells.ts';
import { recordJson } from '../../formats/record-json.ts';
import { urlShortener } from '../../formats/short-urls.ts';
import { expiredOf, getUsage } from '../../query/sums-and-records.ts';
import type { UsageRecord } from '../../record.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import { dateColumn } from '../formats/date-column.ts';
import { type Column, table } from '../formats/table.ts';
import { type Io, print } from '../io.ts';
import { withReader } from '../storage.ts';
import { addCommonOptions, type CommonOptions, isLastPage, queryOf } from './options.ts';

/** Maximum number of characters shown of a method. */
const MAX_METHOD = 8;

const EXAMPLES = `
Examples:
  track-usage usage --storage sqlite:usage.db --limit 20
  track-usage usage --storage usage.db --from 2026-11-01 --format json
  track-usage usage --storage mongodb://host/usage --limit 20
  track-usage usage --storage usage.db --limit 0 --format csv > usage.csv`;

export function addUsageCommand(program: Command, io: Io): void {
  const command = program
    .command('usage')
    .summary('prints the stored records, one per request')
    .description('Prints the stored records, one per request, newest first.');
  addCommonOptions(command, 'date of a request')
    .addHelpText('after', EXAMPLES)
    .action((options: CommonOptions) => usage(options, io));
}

async function usage(options: CommonOptions, io: Io): Promise<void> {
  const { records, zone, expired } = await withReader(options.storage, async (reader) => ({
    records: await getUsage(reader, queryOf(options)),
    expired: await expiredOf(reader, 'records', queryOf(options)),
    zone: calendar((await reader.timeZone(options.site)) ?? 'UTC'),
  }));
  await printRecords(records, zone, options, io);
  // Written to stderr, so that programs can parse stdout.
  if (!isLastPage(records, options)) return;
  for (const each of expired) await io.stderr(`${expiredText(each)}\n`);
}

async function printRecords(
  records: readonly UsageRecord[],
  zone: Calendar,
  options: CommonOptions,
  io: Io,
): Promise<void> {
  switch (options.format) {
    case 'json':
      return print(io, jsonArray(records.map((record) => recordJson(record, zone))));
    case 'csv': {
      const fields = Object.entries(RECORD_CELLS);
      return print(
        io,
        csv(
          fields.map(([name]) => name),
          records.map((record) => fields.map(([, cell]) => cell(record, zone))),
        ),
      );
    }
    case 'table':
      if (records.length === 0) {
        await io.stderr('Nothing found: check --from, --to, --page and --site.\n');
      }
      return print(io, table(columnsOf(records, zone), records, io));
  }
}

/**
 * Columns of the table. The request, with its URL, is the last one, so that hostile text cannot look like another
 * column.
 */
function columnsOf(records: readonly UsageRecord[], zone: Calendar): readonly Column<UsageRecord>[] {
  const shortUrl = urlShortener(records.map(({ url }) => url));
  return [
    dateColumn(records, ({ date }) => zone.format(date), instant),
    {
      heading: 'Status',
      right: true,
      text: ({ status }) => `${status}`,
      style: ({ status }) => colorOf(status),
    },
    {
      heading: MEASURE_LABELS.transfer,
      right: true,
      text: ({ contentLength }) => bytes(contentLength),
    },
    { heading: MEASURE_LABELS.duration, right: true, text: ({ duration }) => durationText(duration) },
    { heading: 'IP address', text: ({ remoteAddr }) => remoteAddr, max: 39, optional: true },
    { heading: 'Browser', text: ({ userAgent }) => userAgent?.browser ?? null, max: 20, optional: true },
    { heading: 'Request', text: ({ method, url }) => `${method.slice(0, MAX_METHOD)} ${shortUrl(url)}` },
  ];
}

function colorOf(status: number): 'red' | 'yellow' | undefined {
  if (status >= 500) return 'red';
  return status >= 400 ? 'yellow' : undefined;
}
