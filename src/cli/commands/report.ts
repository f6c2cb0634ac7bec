import { type Command, InvalidArgumentError, Option } from 'commander';
import { json } from '../../formats/json.ts';
import { wallClock } from '../../platform/clock.ts';
import { version } from '../../platform/version.ts';
import { UsageQuery } from '../../query/query.ts';
import { RANGES, type RangeName } from '../../query/range.ts';
import { htmlReport } from '../../report/html.ts';
import { markdownReport } from '../../report/markdown.ts';
import { type Imprint, makeReport, type Report, type ReportOptions } from '../../report/report.ts';
import { emptyText } from '../../report/words.ts';
import { type Io, NothingFound, print } from '../io.ts';
import { replaceFile } from '../replace-file.ts';
import { withReader } from '../storage.ts';
import { addStorageOption } from './options.ts';

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
  format: keyof typeof FORMATS;
  out?: string;
}

const EXAMPLES = `
Examples:
  track-usage report --storage usage.db --out october.html --month 2026-10
  track-usage report --storage postgres://user@host/app --range 30d
  track-usage report --storage usage.db --from 2026-11-01 --to 2026-11-15
  track-usage report --storage usage.db --range 7d --format markdown

Without a range it reports the last whole month. To print the page, or to save
it as PDF, open it in a browser.`;

export function addReportCommand(program: Command, io: Io): void {
  const command = program
    .command('report')
    .summary('a page to print, mail or keep: totals, days and top lists of a month')
    .description('Writes a report about a month, or another range, compared with the one before.');
  addStorageOption(command)
    .addOption(
      new Option('--month <month>', 'a month, such as 2026-10 (default: the last whole one)')
        .argParser(monthText)
        .conflicts(['range', 'from', 'to']),
    )
    .addOption(
      new Option('--range <range>', 'a range that ends now').choices(RANGES).conflicts(['from', 'to']),
    )
    .option('--from <date>', "first hour, day or month; in the site's time zone")
    .option('--to <date>', 'last hour, day or month, inclusive (default: now)')
    .option('--site <site>', 'site', 'default')
    .addOption(new Option('--format <format>', 'format').choices(Object.keys(FORMATS)).default('html'))
    .option('-o, --out <file>', 'where to write it; - for the output (default)')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => run(options, io));
}

async function run(options: Options, io: Io): Promise<void> {
  const { storage, site, format, out = '-' } = options;
  const now = wallClock.now();
  const report = await withReader(storage, (reader) =>
    makeReport(new UsageQuery(reader, { now: () => now }), { site, ...rangeOf(options) }, now),
  );
  const text = FORMATS[format](report, { now, version: version() });
  if (out === '-') await print(io, [text]);
  else await replaceFile(out, text);
  const empty = emptyText(report);
  if (empty !== undefined) throw new NothingFound(empty);
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
