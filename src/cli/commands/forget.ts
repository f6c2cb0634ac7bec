import { type Command, Option } from 'commander';
import { json } from '../../formats/json.ts';
import { integer, quantity } from '../../formats/numbers.ts';
import type { ForgetProgress } from '../../maintenance/deletion.ts';
import { type ForgetResult, forget, MAX_TEXTS } from '../../maintenance/forget.ts';
import type { Person } from '../../storage/contract.ts';
import { escapeText } from '../../text/escape.ts';
import { wrapped } from '../formats/wrap.ts';
import { type Io, print, Unsuccessful } from '../io.ts';
import { withProgress } from '../progress-line.ts';
import { withStorage } from './maintenance.ts';
import { addStorageOption } from './options.ts';

interface Options {
  storage: string;
  site: string;
  visitor?: string;
  remote?: string;
  username?: string;
  journal?: string;
  dryRun?: true;
  yes?: true;
  json?: true;
}

const EXAMPLES = `
Examples:
  track-usage forget --storage usage.db --remote 203.0.113.7 --dry-run
  track-usage forget -s usage.db --username jane --journal .track-usage --yes

Identify the person with one of --visitor, --remote and --username: the complete
value, as track-usage usage --format json prints it. Totals do not change: the
person's requests then count without a key.`;

export function addForgetCommand(program: Command, io: Io): void {
  const command = program
    .command('forget')
    .summary('deletes a person from records, summaries and files')
    .description(
      'Deletes a person: the records, the keys in summaries, and the texts. Afterward, the files of the database no longer contain them. The app may continue to store requests.',
    );
  addStorageOption(command)
    .option('--site <site>', 'site name, as in the app', 'default')
    .addOption(
      new Option('--visitor <id>', 'visitor ID, such as d:01315680bb06086d1fe4685e2dfd2f60').conflicts([
        'remote',
        'username',
      ]),
    )
    .addOption(new Option('--remote <address>', 'IP address').conflicts(['visitor', 'username']))
    .addOption(new Option('--username <name>', 'user name').conflicts(['visitor', 'remote']))
    .option('--journal <dir>', 'directory of the journals, as in the app; they are searched too')
    .option('--dry-run', 'print what would be deleted, and delete nothing')
    .option('--yes', 'confirm the deletion, which cannot be undone; required without --dry-run')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => run(options, command, io));
}

async function run(options: Options, command: Command, io: Io): Promise<void> {
  const person = personOf(options);
  if (!person)
    command.error("error: one of the options '--visitor', '--remote' and '--username' is required");
  const { storage: url, site, journal, dryRun = false, yes = false } = options;
  if (!dryRun && !yes) command.error("error: option '--yes' or '--dry-run' is required");
  const result = await withStorage(url, (storage) =>
    withProgress(io, (progress) =>
      forget({
        ...{ storage, site, person, journal, dryRun },
        onProgress: (at) => progress.show(() => progressText(at)),
      }),
    ),
  );
  if (options.json) await print(io, [`${json(result)}\n`]);
  else await print(io, wrapped(lines(result, dryRun, journal), io));
  const { pending } = result;
  if (pending.length === 0 || dryRun) return;
  throw new Unsuccessful(
    `Some records of the person are only in journals: ${pending.map(escapeText).join(', ')}. Start the app, which stores them, and run the command again.`,
  );
}

function personOf({ visitor, remote, username }: Options): Person | undefined {
  if (visitor !== undefined) return { column: 'visitor', value: visitor };
  if (remote !== undefined) return { column: 'remoteAddr', value: remote };
  return username === undefined ? undefined : { column: 'username', value: username };
}

function progressText({ step, rows }: ForgetProgress): string {
  return {
    journals: `waiting for ${quantity(rows, 'journal')}`,
    keys: `${quantity(rows, 'sum')} changed`,
    records: `${quantity(rows, 'record')} deleted`,
    texts: 'deleting unused texts',
    files: 'removing deleted data from the files',
  }[step];
}

function* lines(result: ForgetResult, dryRun: boolean, journal: string | undefined): Generator<string> {
  const { records, keys, rejected, batches, stored, pending, remaining } = result;
  const deleted = dryRun ? 'To delete' : 'Deleted';
  if (records + keys.length + rejected + batches + stored.length + pending.length === 0) {
    yield 'Nothing found.\n';
  } else {
    yield `${deleted}: ${quantity(records, 'record')}.\n`;
    for (const { summary, buckets, hits } of keys) {
      yield `${deleted}: the key in ${quantity(buckets, 'bucket')} of ${summary}, with ${quantity(hits, 'hit')}.\n`;
    }
    if (rejected > 0) yield `${deleted}: ${quantity(rejected, 'rejected record')}.\n`;
    if (batches > 0) yield `${deleted}: ${integer(batches)} saved ${batches === 1 ? 'batch' : 'batches'}.\n`;
  }
  if (dryRun) for (const path of [...pending, ...stored]) yield `Found in the journal ${escapeText(path)}.\n`;
  else {
    for (const path of stored) {
      yield `The journal ${escapeText(path)} contains copies of stored records. They are deleted when the app stops or their segment is full.\n`;
    }
  }
  if (journal === undefined) {
    yield 'Journals were not searched. To search them, add --journal with the directory of the journals.\n';
  }
  if (remaining.length === 0) return;
  yield 'Other texts that contain the value, which are not deleted:\n';
  for (const { where, text } of remaining) yield `  ${where}: ${escapeText(text)}\n`;
  const kinds = [...Map.groupBy(remaining, ({ where }) => where).values()];
  if (kinds.some(({ length }) => length >= MAX_TEXTS))
    yield `  … at most ${MAX_TEXTS} of each kind are listed\n`;
}
