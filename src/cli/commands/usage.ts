import type { Command } from 'commander';
import { csv } from '../../formats/csv.ts';
import { jsonArray } from '../../formats/json.ts';
import { bytes, instant, milliseconds } from '../../formats/numbers.ts';
import { RECORD_CELLS } from '../../formats/record-cells.ts';
import { recordJson } from '../../formats/record-json.ts';
import { getUsage } from '../../query/sums-and-records.ts';
import type { UsageRecord } from '../../record.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import { type Column, table } from '../formats/table.ts';
import { type Io, print } from '../io.ts';
import { withReader } from '../storage.ts';
import { addCommonOptions, type CommonOptions, queryOf } from './options.ts';

const EXAMPLES = `
Examples:
  track-usage usage --storage sqlite:usage.db --limit 20
  track-usage usage --storage usage.db --from 2026-11-01 --format json
  track-usage usage --storage mongodb://host/usage --limit 20
  track-usage usage --storage usage.db --limit 0 --format csv > usage.csv`;

export function addUsageCommand(program: Command, io: Io): void {
  const command = program
    .command('usage')
    .summary('the records of requests')
    .description('Prints the records of requests, newest first.');
  addCommonOptions(command, 'instant')
    .addHelpText('after', EXAMPLES)
    .action((options: CommonOptions) => usage(options, io));
}

async function usage(options: CommonOptions, io: Io): Promise<void> {
  const { records, zone } = await withReader(options.storage, async (reader) => ({
    records: await getUsage(reader, queryOf(options)),
    zone: calendar((await reader.timeZone(options.site)) ?? 'UTC'),
  }));
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
      return print(io, table(columns(zone), records, io));
  }
}

/** Columns of the table. The URL is the last one, so that hostile text cannot look like another column. */
function columns(zone: Calendar): readonly Column<UsageRecord>[] {
  return [
    { heading: 'date', text: ({ date }) => instant(zone.format(date)) },
    {
      heading: 'status',
      right: true,
      text: ({ status }) => `${status}`,
      style: ({ status }) => colourOf(status),
    },
    { heading: 'method', text: ({ method }) => method, max: 8 },
    { heading: 'bytes', right: true, text: ({ contentLength }) => bytes(contentLength) },
    { heading: 'ms', right: true, text: ({ duration }) => milliseconds(duration) },
    { heading: 'address', text: ({ remoteAddr }) => remoteAddr, max: 39 },
    { heading: 'browser', text: ({ userAgent }) => userAgent?.browser ?? null, max: 20 },
    { heading: 'url', text: ({ url }) => url },
  ];
}

function colourOf(status: number): 'red' | 'yellow' | undefined {
  if (status >= 500) return 'red';
  return status >= 400 ? 'yellow' : undefined;
}
