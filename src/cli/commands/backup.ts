import { resolve } from 'node:path';
import type { Command } from 'commander';
import { show, TrackUsageError } from '../../errors.ts';
import { bytes } from '../../formats/numbers.ts';
import { storageAt } from '../../storages/by-url.ts';
import { backup } from '../../storages/sqlite/backup.ts';
import { escapeText } from '../../text/escape.ts';
import { wrap } from '../formats/wrap.ts';
import { type Io, print } from '../io.ts';

interface Options {
  storage: string;
  out: string;
}

const EXAMPLES = `
Examples:
  track-usage backup --storage usage.db --out backup.db

For other storages, use the database's own tools or track-usage export.`;

export function addBackupCommand(program: Command, io: Io): void {
  program
    .command('backup')
    .summary('copies a SQLite database to a new file while the app runs')
    .description(
      'Copies a SQLite database to a new file while the app runs. The copy is the exact state at one point in time.',
    )
    .requiredOption('-s, --storage <storage>', 'sqlite:PATH, or a path that ends in .db, .sqlite or .sqlite3')
    .requiredOption('-o, --out <file>', 'file to create')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => run(options, io));
}

async function run({ storage, out }: Options, io: Io): Promise<void> {
  const { scheme, path } = storageAt(storage);
  if (scheme !== 'sqlite') {
    throw new TrackUsageError('QUERY_INVALID', {
      name: '--storage',
      value: show(`${scheme}://…`),
      expected: "a SQLite database; for other storages, use the database's own tools or track-usage export",
    });
  }
  const { path: created, bytes: size } = await backup(resolve(path), out);
  await print(io, [wrap(`Created ${escapeText(created)}: ${bytes(size)}.\n`, io)]);
}
