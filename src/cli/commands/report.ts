import { type Command, InvalidArgumentError, Option } from 'commander';
import { json } from '../../formats/json.ts';
import { bucket } from '../../formats/numbers.ts';
import { wallClock } from '../../platform/clock.ts';
import { version } from '../../platform/version.ts';
import { UsageQuery } from '../../query/query.ts';
import type { Bots } from '../../query/query-types.ts';
import { RANGES, type RangeName } from '../../query/range.ts';
import { emailReport } from '../../report/email.ts';
import { htmlReport } from '../../report/html.ts';
import { emptyText } from '../../report/labels.ts';
import { markdownReport } from '../../report/markdown.ts';
import { type Imprint, makeReport, type Report, type ReportOptions } from '../../report/report.ts';
import { type Io, NothingFound, print } from '../io.ts';
import { replaceFile } from '../replace-file.ts';
import { withReader } from '../storage.ts';
import { addStorageOption, botsOption } from './options.ts';

const FORMATS = {
  html: htmlReport,
  markdown: markdownReport,
  json: jsonReport,
} as const satisfies Record<string, (report: Report, imprint: Imprint) => string>;

interface Options {
  storage: string;
  month?: string;
  range?: RangeName;
  from?: string;
  to?: string;
  site: string;
  bots: Bots;
  format: keyof typeof FORMATS;
  email?: true;
  full?: true;
  out?: string;
}

const EXAMPLES = `
Examples:
  track-usage report --storage usage.db --out october.html --month 2026-10
  track-usage report --storage postgres://user@host/app --range 30d
  track-usage report --storage usage.db --from 2026-11-01 --to 2026-11-15
  track-usage report --storage usage.db --range 7d --format markdown
  track-usage report --storage usage.db --email --out email.html

The range defaults to the last complete month. To print the page or save it as
PDF, open it in a browser.`;

export function addReportCommand(program: Command, io: Io): void {
  const command = program
    .command('report')
    .summary('writes a report on a month: totals, a chart by day, and the top keys of each summary')
    .description('Writes a report on a month or another range, compared with the previous period.');
  addStorageOption(command)
    .addOption(
      new Option('--month <month>', 'month, such as 2026-10 (default: the last complete one)')
        .argParser(monthText)
        .conflicts(['range', 'from', 'to']),
    )
    .addOption(
      new Option('--range <range>', 'named range, such as 7d or yesterday')
        .choices(RANGES)
        .conflicts(['from', 'to']),
    )
    .option('--from <date>', "first hour, day or month, such as 2026-11-01; in the site's time zone")
    .option('--to <date>', 'last hour, day or month, inclusive (default: now)')
    .option('--site <site>', 'site name, as in the app', 'default')
    .addOption(botsOption())
    .addOption(new Option('--format <format>', 'output format').choices(Object.keys(FORMATS)).default('html'))
    .addOption(
      new Option(
        '--email',
        'HTML for the body of an email: inline styles, without SVG, below 100 kB',
      ).conflicts('format'),
    )
    .option('--full', 'list also visitor IDs and raw user agents')
    .option('-o, --out <file>', 'file to write, or - for stdout (default: -)')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => run(options, io));
}

async function run(options: Options, io: Io): Promise<void> {
  const { storage, site, bots, format, email, full = false, out = '-' } = options;
  const now = wallClock.now();
  const { report, empty } = await withReader(storage, async (reader) => {
    const query = new UsageQuery(reader, { now: () => now });
    const report = await makeReport(query, { site, bots, full, ...rangeOf(options) }, now);
    const empty = emptyText(report);
    return { report, empty: empty === undefined ? undefined : `${empty}${await rangeHint(query, site)}` };
  });
  const text = (email ? emailReport : FORMATS[format])(report, { now, version: version() });
  if (out === '-') await print(io, [text]);
  else await replaceFile(out, text);
  if (empty !== undefined) throw new NothingFound(empty);
}

/** Returns a sentence with the months that have hits, or an empty text if there are none. */
async function rangeHint(query: UsageQuery, site: string): Promise<string> {
  const { buckets } = await query.series({ site, range: 'all', period: 'month' });
  const months = buckets.filter(({ hits }) => hits > 0).map(({ date }) => bucket('month', date));
  const [first, last] = [months[0], months.at(-1)];
  if (first === undefined) return '';
  const range = first === last ? `in ${first}` : `from ${first} to ${last}`;
  return ` The storage has hits ${range}: choose a range with --month, or with --from and --to.`;
}

function rangeOf({ month, range, from, to }: Options): ReportOptions {
  if (month !== undefined) return { from: month, to: month };
  return { ...(range && { range }), ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

/** Formats the results as JSON. */
function jsonReport(report: Report): string {
  const parts = Object.entries(report).map(([name, answer]) => {
    if (!Array.isArray(answer)) return `${json(name)}:${json(answer)}`;
    return `${json(name)}:[${answer.map((each) => `\n${json(each)}`).join(',')}]`;
  });
  return `{\n${parts.join(',\n')}\n}\n`;
}

function monthText(text: string): string {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(text))
    throw new InvalidArgumentError('Expected a month such as 2026-10.');
  return text;
}
