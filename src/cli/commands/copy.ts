import { type Command, InvalidArgumentError } from 'commander';
import { copy } from '../../copy/copy.ts';
import { copyFlask } from '../../copy/flask/copy-flask.ts';
import { flaskSource } from '../../copy/flask/source.ts';
import type { CopyProgress } from '../../copy/options.ts';
import { show, TrackUsageError } from '../../errors.ts';
import { quantity } from '../../formats/numbers.ts';
import { storageAt } from '../../storages/by-url.ts';
import { calendar } from '../../summaries/periods.ts';
import { STANDARD_SUMMARIES } from '../../summaries/standard.ts';
import { wrap } from '../formats/wrap.ts';
import { type Io, print } from '../io.ts';
import { ProgressLine } from '../progress-line.ts';
import { named } from '../storage.ts';

interface Options {
  from: string;
  to: string;
  site: string;
  toSite?: string;
  table?: string;
  website?: string;
  timeZone?: string;
}

const EXAMPLES = `
Examples:
  track-usage copy --from sqlite:usage.db --to postgres://user@host/usage
  track-usage copy --from flask+sqlite:old.db --to new.db --time-zone Asia/Tokyo
  track-usage copy --from flask+postgres://user@host/app --to sqlite:usage.db
  track-usage copy --from flask+mysql://user@host/app --table log --to usage.db
  track-usage copy --from flask+mongodb://host/app --website shop --to usage.db

An interrupted copy continues where it stopped when you run the same command
again. Nothing may write to a site while it is copied: stop the app first, or
set another site name in the app until the copy is complete.`;

export function addCopyCommand(program: Command, io: Io): void {
  program
    .command('copy')
    .summary('copies records and summaries from one storage to another')
    .description(
      'Copies the records and summaries of a site from one storage to another, then verifies the copy.\nFrom a database of Flask-Track-Usage (flask+…), it copies the records and rebuilds the summaries.',
    )
    .requiredOption('--from <storage>', 'source, such as sqlite:usage.db or flask+sqlite:old.db')
    .requiredOption('--to <storage>', 'target, such as postgres://user@host/usage')
    .option('--site <site>', 'site to copy', 'default')
    .option('--to-site <site>', 'site name in the target (default: that of --site)')
    .option(
      '--time-zone <zone>',
      'time zone of the site in the target, for a flask+… source (default: "UTC")',
      knownTimeZone,
    )
    .option(
      '--table <table>',
      'table or collection of Flask-Track-Usage (default: "flask_usage", or "usageTracking" in MongoDB)',
    )
    .option('--website <website>', 'website to copy from Flask-Track-Usage in MongoDB (default: all)')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => run(options, io));
}

async function run(options: Options, io: Io): Promise<void> {
  const { from, to, site, toSite = site, table, website, timeZone = 'UTC' } = options;
  const isFlask = from.startsWith('flask+');
  if (!isFlask) refuseFlaskOptions(options);
  const { label, open } = storageAt(to);
  const target = await open(STANDARD_SUMMARIES);
  const progress = new ProgressLine(io);
  const onProgress = (each: CopyProgress) => progress.show(() => progressText(each));
  try {
    if (isFlask) {
      const source = await flaskSource(from, { table, website });
      try {
        const { records } = await named(label, () =>
          copyFlask({ from: source, to: target, site: toSite, timeZone, onProgress }),
        );
        await progress.end();
        return await print(io, [
          wrap(`The copy is complete: ${quantity(records, 'record')} and their summaries.\n`, io),
        ]);
      } finally {
        await source.close();
      }
    }
    const { label: sourceLabel, open: openSource } = storageAt(from);
    const source = await openSource([]);
    try {
      await named(sourceLabel, () => source.reader.timeZone(site));
      const { records, sums } = await named(`the copy from ${sourceLabel} to ${label}`, () =>
        copy({ from: source, to: target, site, toSite, onProgress }),
      );
      await progress.end();
      return await print(io, [
        wrap(
          `The copy is complete and verified: ${quantity(records, 'record')}, ${quantity(sums, 'summary row')}.\n`,
          io,
        ),
      ]);
    } finally {
      await source.close();
    }
  } finally {
    await progress.end();
    await target.close();
  }
}

function refuseFlaskOptions({ table, website, timeZone }: Options): void {
  const given = { '--time-zone': timeZone, '--table': table, '--website': website };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    throw new TrackUsageError('QUERY_INVALID', {
      name,
      value: show(value),
      expected: 'no value unless --from begins with flask+',
    });
  }
}

function knownTimeZone(text: string): string {
  try {
    return calendar(text).timeZone;
  } catch (error) {
    if (!(error instanceof TrackUsageError)) throw error;
    throw new InvalidArgumentError('Expected an IANA name such as "Europe/Berlin".');
  }
}

function progressText({ step, summary, rows }: CopyProgress): string {
  return {
    records: quantity(rows, 'record'),
    sums: `${quantity(rows, 'summary row')} (${summary})`,
    verify: `${quantity(rows, 'row')} verified`,
  }[step];
}
