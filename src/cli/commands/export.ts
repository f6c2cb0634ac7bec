import { type Command, Option } from 'commander';
import { allSumsOf, exportSite, recordsOf } from '../../copy/export.ts';
import type { CopyProgress } from '../../copy/options.ts';
import { type Cell, csv } from '../../formats/csv.ts';
import { quantity } from '../../formats/numbers.ts';
import { RECORD_CELLS } from '../../formats/record-cells.ts';
import type { Storage } from '../../query/storage.ts';
import { storedZone } from '../../query/stored-zone.ts';
import { storedSummaries } from '../../query/sums-and-records.ts';
import { recordOf } from '../../storage/record-row.ts';
import { escapeText } from '../../text/escape.ts';
import { wrap } from '../formats/wrap.ts';
import { type Io, print, Unsuccessful } from '../io.ts';
import { withProgress } from '../progress-line.ts';
import { replaceFileWith } from '../replace-file.ts';
import { withStorage } from './maintenance.ts';
import { addStorageOption } from './options.ts';

const FORMATS = ['ndjson', 'csv'] as const;

interface Options {
  storage: string;
  site: string;
  format: (typeof FORMATS)[number];
  records?: true;
  summaries?: true;
  out: string;
}

type Write = (text: string) => Promise<void>;
type OnProgress = (progress: CopyProgress) => void;

const EXAMPLES = `
Examples:
  track-usage export --storage usage.db --out usage.ndjson
  track-usage export --storage usage.db --format csv --records > records.csv
  track-usage export --storage mysql://user@host/usage | gzip > usage.ndjson.gz

NDJSON contains everything exactly, for track-usage restore. CSV is for
spreadsheets. Stop the app first, so that records and summaries match.`;

const SUM_FIELDS = ['summary', 'period', 'date', 'key', 'hits', 'transfer', 'errors', 'duration'] as const;

export function addExportCommand(program: Command, io: Io): void {
  const command = program
    .command('export')
    .summary('writes the records and summaries of a site to a file')
    .description('Writes the records and summaries of a site to a file or to stdout.');
  addStorageOption(command)
    .option('--site <site>', 'site name, as in the app', 'default')
    .addOption(new Option('--format <format>', 'output format').choices(FORMATS).default('ndjson'))
    .option('--records', 'only the records, unless --summaries is given too')
    .option('--summaries', 'only the sums of summaries, unless --records is given too')
    .option('-o, --out <file>', 'file to write or replace, or - for stdout', '-')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => run(options, command, io));
}

async function run(options: Options, command: Command, io: Io): Promise<void> {
  const { storage: url, out, format } = options;
  const isBoth = options.records === options.summaries;
  if (format === 'csv' && isBoth) {
    command.error("error: with '--format csv', one of the options '--records' and '--summaries' is required");
  }
  const { isChanged, records, sums } = await withStorage(url, (storage) =>
    withProgress(io, (progress) => {
      const produce = (write: Write) =>
        writeTo(storage, options, write, (at) =>
          progress.show(() => `${quantity(at.rows, 'row')} (${at.step})`),
        );
      if (out === '-') return produce((text) => print(io, [text]));
      return replaceFileWith(out, produce);
    }),
  );
  if (out !== '-') {
    const counts = [
      ...(records === undefined ? [] : [quantity(records, 'record')]),
      ...(sums === undefined ? [] : [quantity(sums, 'summary row')]),
    ];
    await print(io, [wrap(`Created ${escapeText(out)}: ${counts.join(', ')}.\n`, io)]);
  }
  if (!isChanged || !isBoth) return;
  throw new Unsuccessful(
    'The app stored requests during the export, so some may be only in the records, or only in the summaries. For an exact export, stop the app and run the command again.',
  );
}

interface Exported {
  /** Number of exported records; `undefined` without them. */
  records?: number | undefined;
  /** Number of exported rows of summaries; `undefined` without them. */
  sums?: number | undefined;
  /** True if an app stored requests meanwhile. */
  isChanged: boolean;
}

/** Writes the export. */
async function writeTo(
  storage: Storage,
  { site, format, records, summaries }: Options,
  write: Write,
  onProgress: OnProgress,
): Promise<Exported> {
  const { reader } = storage;
  if (format === 'ndjson') {
    const isBoth = records === summaries;
    const parts = { records: isBoth || records === true, summaries: isBoth || summaries === true };
    const done = await exportSite({ from: storage, site, ...parts, onProgress }, write);
    return {
      records: parts.records ? done.records : undefined,
      sums: parts.summaries ? done.sums : undefined,
      isChanged: done.isChanged,
    };
  }
  const zone = await storedZone(storage, site);
  let rows = 0;
  const [headings] = csv(records ? Object.keys(RECORD_CELLS) : SUM_FIELDS, []);
  await write(headings!);
  const add = async (cells: Cell[][], step: CopyProgress['step']) => {
    const [, ...lines] = csv([], cells);
    await write(lines.join(''));
    rows += cells.length;
    onProgress({ step, rows });
  };
  if (records) {
    const columns = Object.values(RECORD_CELLS);
    for await (const found of recordsOf(reader, site)) {
      const cells = found.map(recordOf).map((record) => columns.map((cellOf) => cellOf(record, zone)));
      await add(cells, 'records');
    }
    return { records: rows, isChanged: false };
  }
  for await (const found of allSumsOf(reader, site, await storedSummaries(reader, site))) {
    const cells = found.map(({ bucket, ...sum }) => {
      const row = { ...sum, date: zone.format(bucket) };
      return SUM_FIELDS.map((field) => row[field]);
    });
    await add(cells, 'sums');
  }
  return { sums: rows, isChanged: false };
}
