import type { Command } from 'commander';
import { json } from '../../formats/json.ts';
import { PART_LABELS } from '../../formats/labels.ts';
import { bytes, duration, instant, integer, quantity } from '../../formats/numbers.ts';
import { storageStatus } from '../../maintenance/status.ts';
import type { StorageReport } from '../../maintenance/storage-report.ts';
import type { PartSize, StorageSize } from '../../storage/contract.ts';
import { PARTS } from '../../storage/retention.ts';
import { calendar } from '../../summaries/periods.ts';
import { escapeText } from '../../text/escape.ts';
import { type Column, table } from '../formats/table.ts';
import { wrap, wrapped } from '../formats/wrap.ts';
import { type Io, print } from '../io.ts';
import { withStorage } from './maintenance.ts';
import { addStorageOption } from './options.ts';

interface Options {
  storage: string;
  site: string;
  journal?: string;
  json?: true;
}

const EXAMPLES = `
Examples:
  track-usage status --storage usage.db
  track-usage status --storage usage.db --journal .track-usage --json`;

export function addStatusCommand(program: Command, io: Io): void {
  const command = program
    .command('status')
    .summary('prints the size, growth, retention and problems of a storage')
    .description(
      'Prints the size of a storage by part, its growth, retention, reached key budgets and journals, and advice on problems.',
    );
  addStorageOption(command)
    .option('--site <site>', 'site name, as in the app', 'default')
    .option('--journal <dir>', 'directory of the journals, as in the app; they are listed too')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => run(options, io));
}

async function run({ storage: url, site, journal, json: isJson }: Options, io: Io): Promise<void> {
  const report = await withStorage(url, (storage) => storageStatus({ storage, site, journal }));
  await print(io, isJson ? [`${json(report)}\n`] : lines(report, io));
}

interface SizeRow extends PartSize {
  name: string;
}

const UNKNOWN = '–';
const SIZES: readonly Column<SizeRow>[] = [
  { heading: 'Part', text: ({ name }) => name },
  { heading: 'Rows', right: true, text: ({ rows }) => (rows === null ? UNKNOWN : integer(rows)) },
  { heading: 'Size', right: true, text: (row) => sizeText(row.bytes) },
  { heading: 'Indexes', right: true, text: ({ indexes }) => sizeText(indexes) },
];

function* lines(report: StorageReport, io: Io): Generator<string> {
  const { storage, site, timeZone, summaries, oldest, newest, size, growth, budgets, advice } = report;
  yield `Storage: ${escapeText(storage)}\n`;
  yield `Site: ${escapeText(site)}, in the time zone ${timeZone}\n`;
  yield wrap(`Summaries: ${summaries.map(escapeText).join(', ')}\n`, io);
  yield oldest === null || newest === null
    ? 'Records: none\n'
    : `Records: from ${instant(oldest)} to ${instant(newest)}\n`;
  yield '\n';
  yield* table(SIZES, rowsOf(report), io);
  yield totalLine(size);
  const { requestsPerDay, bytesPerDay, bytesInYear } = growth;
  yield requestsPerDay === null
    ? 'Growth: unknown until there are records for a complete day\n'
    : wrap(
        `Growth: ${quantity(requestsPerDay, 'request')} and ${sizeText(bytesPerDay)} per day; total size in a year: ${sizeText(bytesInYear)}\n`,
        io,
      );
  yield '\n';
  yield wrap(`Retention: ${retentionText(report)}\n`, io);
  const reached = budgets.map(
    ({ summary, period, hits }) => `${summary} by ${period} (${quantity(hits, 'hit')})`,
  );
  yield budgets.length === 0
    ? 'Key budgets: none reached\n'
    : wrap(`Key budgets reached: ${reached.join(', ')}\n`, io);
  yield* wrapped(journalLines(report), io);
  if (advice.length === 0) return;
  yield '\nNeeds attention:\n';
  for (const sentence of advice) yield wrap(`- ${escapeText(sentence)}\n`, io);
}

/** Returns the line of the total size. Some engines do not know their free space. */
export function totalLine({ total, free }: Pick<StorageSize, 'total' | 'free'>): string {
  return `Total: ${sizeText(total)}${free === null ? '' : `, ${bytes(free)} of it free`}\n`;
}

function rowsOf({ size }: StorageReport): SizeRow[] {
  return ([...PARTS, 'texts'] as const).map((part) => ({ name: PART_LABELS[part], ...size[part] }));
}

function retentionText({ retention, timeZone }: StorageReport): string {
  if (Object.keys(retention).length === 0) return 'not stored yet';
  const zone = calendar(timeZone);
  return PARTS.map((part) => {
    const { keep = 'forever', before = null } = retention[part] ?? {};
    const deleted = before === null ? '' : ` (deleted before ${zone.format(before).slice(0, 10)})`;
    return `${PART_LABELS[part].toLowerCase()} ${keep}${deleted}`;
  }).join(', ');
}

function* journalLines({ journals, rejects }: StorageReport): Generator<string> {
  if (journals === undefined) return;
  if (journals.length === 0) yield 'Journals: none\n';
  for (const { path, state, bytes: all, pendingBytes, age } of journals) {
    const seen = age === null || state === 'running' ? '' : `, last seen ${duration(age * 1_000)} ago`;
    yield `Journal: ${escapeText(path)}, ${state}${seen}, ${bytes(all)}, ${bytes(pendingBytes)} of it not stored yet\n`;
  }
  for (const { path, records } of rejects ?? []) {
    yield `Rejected records: ${integer(records)} in ${escapeText(path)}\n`;
  }
}

function sizeText(size: number | null): string {
  return size === null ? UNKNOWN : bytes(size);
}
