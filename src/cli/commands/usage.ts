import type { Command } from 'commander';
import { getUsage } from '../../query/ask.ts';
import type { UsageRecord } from '../../record.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import { type Cell, csv } from '../formats/csv.ts';
import { json, jsonArray } from '../formats/json.ts';
import { bytes, instant, milliseconds } from '../formats/numbers.ts';
import { type Column, table } from '../formats/table.ts';
import { type Io, print } from '../io.ts';
import { withReader } from '../storage.ts';
import { addCommonOptions, type CommonOptions, queryOf } from './options.ts';

const EXAMPLES = `
Examples:
  track-usage usage --storage sqlite:usage.db --limit 20
  track-usage usage --storage sqlite:usage.db --from 2026-11-01 --to 2026-11-02 --format json
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
      return print(io, jsonArray(records));
    case 'csv': {
      const fields = Object.entries(FIELDS);
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

/** The URL stands last: only there can hostile text not be taken for another column. */
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

/** Each field of a record, flat: what holds several values is JSON. */
const FIELDS = {
  date: ({ date }, zone) => zone.format(date),
  site: ({ site }) => site,
  serverName: ({ serverName }) => serverName,
  method: ({ method }) => method,
  url: ({ url }) => url,
  path: ({ path }) => path,
  route: ({ route }) => route,
  routeParams: ({ routeParams }) => jsonOrNull(routeParams),
  query: ({ query }) => jsonOrNull(query),
  protocol: ({ protocol }) => protocol,
  status: ({ status }) => status,
  contentLength: ({ contentLength }) => contentLength,
  duration: ({ duration }) => duration,
  remoteAddr: ({ remoteAddr }) => remoteAddr,
  forwardedFor: ({ forwardedFor }) => forwardedFor,
  userAgent: ({ userAgent }) => userAgent?.string ?? null,
  browser: ({ userAgent }) => userAgent?.browser ?? null,
  version: ({ userAgent }) => userAgent?.version ?? null,
  platform: ({ userAgent }) => userAgent?.platform ?? null,
  language: ({ language }) => language,
  referrer: ({ referrer }) => referrer,
  username: ({ username }) => username,
  authorization: ({ authorization }) => authorization,
  visitor: ({ visitor }) => visitor,
  country: ({ country }) => country,
  geo: ({ geo }) => jsonOrNull(geo),
  bot: ({ bot }) => bot,
  vars: ({ vars }) => jsonOrNull(vars),
  blueprint: ({ blueprint }) => blueprint,
} satisfies Record<
  keyof UsageRecord | 'browser' | 'version' | 'platform',
  (record: UsageRecord, zone: Calendar) => Cell
>;

function jsonOrNull(value: object | null): Cell {
  return value === null ? null : { json: json(value) };
}
