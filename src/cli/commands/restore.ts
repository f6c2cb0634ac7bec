import type { Command } from 'commander';
import type { CopyProgress } from '../../copy/options.ts';
import { restore } from '../../copy/restore.ts';
import { quantity } from '../../formats/numbers.ts';
import { storageAt } from '../../storages/by-url.ts';
import { STANDARD_SUMMARIES } from '../../summaries/standard.ts';
import { escapeText } from '../../text/escape.ts';
import { wrap } from '../formats/wrap.ts';
import { type Io, print } from '../io.ts';
import { withProgress } from '../progress-line.ts';
import { named } from '../storage.ts';
import { addStorageOption } from './options.ts';

interface Options {
  storage: string;
  toSite?: string;
}

const EXAMPLES = `
Examples:
  track-usage restore usage.ndjson --storage new.db
  track-usage restore usage.ndjson --storage postgres://user@host/usage
  track-usage restore usage.ndjson --storage usage.db --to-site old-shop

The site must be empty. An interrupted restore continues where it stopped when
you run the same command again.`;

export function addRestoreCommand(program: Command, io: Io): void {
  const command = program
    .command('restore')
    .summary('stores an export of a site in a storage')
    .description(
      'Stores the records and summaries of an NDJSON export, then compares the stored data with the file.',
    )
    .argument('<file>', 'export in NDJSON');
  addStorageOption(command)
    .option('--to-site <site>', 'site name in the storage (default: that of the export)')
    .addHelpText('after', EXAMPLES)
    .action((file: string, options: Options) => run(file, options, io));
}

async function run(file: string, { storage: url, toSite }: Options, io: Io): Promise<void> {
  const { label, open } = storageAt(url);
  const to = await open(STANDARD_SUMMARIES);
  try {
    const { site, records, sums } = await named(label, () =>
      withProgress(io, (progress) =>
        restore({ file, to, toSite, onProgress: (at) => progress.show(() => progressText(at)) }),
      ),
    );
    await print(io, [
      wrap(
        `The site "${escapeText(site)}" is restored and verified: ${quantity(records, 'record')}, ${quantity(sums, 'summary row')}.\n`,
        io,
      ),
    ]);
  } finally {
    await to.close();
  }
}

function progressText({ step, rows }: CopyProgress): string {
  return {
    records: quantity(rows, 'record'),
    sums: quantity(rows, 'summary row'),
    verify: `${quantity(rows, 'row')} verified`,
  }[step];
}
