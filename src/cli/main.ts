import { Command, CommanderError } from 'commander';
import { type ErrorCode, reasonOf, TrackUsageError } from '../errors.ts';
import { requireRuntime } from '../platform/runtime.ts';
import { version } from '../platform/version.ts';
import { showControls } from '../text/escape.ts';
import { addBackupCommand } from './commands/backup.ts';
import { addCopyCommand } from './commands/copy.ts';
import { addExportCommand } from './commands/export.ts';
import { addForgetCommand } from './commands/forget.ts';
import { addPruneCommand } from './commands/prune.ts';
import { addRebuildCommand } from './commands/rebuild.ts';
import { addReportCommand } from './commands/report.ts';
import { addRestoreCommand } from './commands/restore.ts';
import { addServeCommand } from './commands/serve.ts';
import { addStatusCommand } from './commands/status.ts';
import { addSumCommand } from './commands/sum.ts';
import { addUsageCommand } from './commands/usage.ts';
import { addVerifyCommand } from './commands/verify.ts';
import { wrap } from './formats/wrap.ts';
import { type Io, NothingFound, OutputClosed, Unsuccessful, withClosedOutput } from './io.ts';
import { similar } from './similar.ts';

const OK = 0;
const FAILED = 1;
const WRONG_USE = 2;
/** The command succeeded with an empty result. */
const EMPTY = 3;

/** Errors caused by the command line. */
const USE_CODES: readonly ErrorCode[] = [
  'COPY_OWN',
  'OPTION_INVALID',
  'QUERY_INVALID',
  'STORAGE_UNKNOWN',
  'SUMMARY_UNKNOWN',
];

const EXAMPLES = `
Examples:
  track-usage sum urls --storage sqlite:usage.db --period day --from 2026-11-01
  track-usage sum languages --storage usage.db --period month --format json
  track-usage usage --storage postgres://user@host/app --limit 20
  track-usage report --storage usage.db --out october.html --month 2026-10
  track-usage serve --storage sqlite:usage.db
  track-usage status --storage usage.db --journal .track-usage

track-usage COMMAND --help lists the options of a command.
Exit codes: 0 success, 1 failure, 2 usage error, 3 report without hits.`;

/**
 * Runs a command line.
 * @param argv Arguments after the name of the program.
 */
export async function main(argv: readonly string[], given: Io): Promise<number> {
  const io = withClosedOutput(given);
  const texts = { out: '', err: '' };
  const program = createProgram(io, texts);
  try {
    requireRuntime();
    await program.parseAsync(withoutHelpOfUnknown(argv, program), { from: 'user' });
    return OK;
  } catch (error) {
    return await report(error, argv, program, texts, io);
  }
}

function createProgram(io: Io, texts: { out: string; err: string }): Command {
  const width = () => io.columns ?? 80;
  const program = new Command('track-usage')
    .description('Queries, reports, serves, copies and maintains data stored by track-usage.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    // The library also suggests names that only share a few letters: `similar` replaces it.
    .showSuggestionAfterError(false)
    .configureOutput({
      writeOut: (text) => {
        texts.out += text;
      },
      writeErr: (text) => {
        texts.err += text;
      },
      getOutHelpWidth: width,
      getErrHelpWidth: width,
    });
  addSumCommand(program, io);
  addUsageCommand(program, io);
  addCopyCommand(program, io);
  addExportCommand(program, io);
  addRestoreCommand(program, io);
  addBackupCommand(program, io);
  addReportCommand(program, io);
  addServeCommand(program, io);
  addStatusCommand(program, io);
  addVerifyCommand(program, io);
  addRebuildCommand(program, io);
  addForgetCommand(program, io);
  addPruneCommand(program, io);
  // Every command supports both.
  for (const command of program.commands) {
    command
      .version(version(), '-V, --version', 'print the version')
      .helpOption('-h, --help', 'print this help');
  }
  return program;
}

/** Makes `help foo` fail like `foo`. The library would print the general help instead. */
function withoutHelpOfUnknown(argv: readonly string[], program: Command): readonly string[] {
  const [first, name] = argv;
  if (first !== 'help' || name === undefined || name === 'help' || name.startsWith('-')) return argv;
  return program.commands.some((command) => command.name() === name) ? argv : [name];
}

async function report(
  error: unknown,
  argv: readonly string[],
  program: Command,
  texts: { out: string; err: string },
  io: Io,
): Promise<number> {
  if (error instanceof OutputClosed) return OK;
  if (error instanceof NothingFound) {
    await io.stderr(wrap(`${error.message}\n`, io));
    return EMPTY;
  }
  if (error instanceof Unsuccessful) {
    await io.stderr(wrap(`${error.message}\n`, io));
    return FAILED;
  }
  if (error instanceof CommanderError) {
    const isMessage = error.message.startsWith('error: ');
    try {
      if (texts.out !== '') await io.stdout(texts.out);
    } catch (failure) {
      return report(failure, argv, program, texts, io);
    }
    if (isMessage)
      await printError(io, `${error.message.slice('error: '.length)}${hintOf(error, argv, program)}`);
    else if (texts.err !== '') await io.stderr(texts.err);
    return error.exitCode === 0 ? OK : WRONG_USE;
  }
  await printError(io, reasonOf(error));
  return error instanceof TrackUsageError && USE_CODES.includes(error.code) ? WRONG_USE : FAILED;
}

/** Returns the end of a message about an unknown name: a similar one, or the existing commands. */
function hintOf({ code, message }: CommanderError, argv: readonly string[], program: Command): string {
  const [, given = ''] = /'(.*)'/s.exec(message) ?? [];
  const commands = program.commands.map((command) => command.name());
  if (code === 'commander.unknownCommand') {
    const name = similar(given, commands);
    return name === undefined ? `; use one of: ${commands.join(', ')}` : `; did you mean ${name}?`;
  }
  if (code !== 'commander.unknownOption') return '';
  const command = program.commands.find((known) => known.name() === argv[0]) ?? program;
  const options = command.options.flatMap(({ long }) => long ?? []);
  const name = similar(given, options);
  return name === undefined ? '; use --help to list the options' : `; did you mean ${name}?`;
}

async function printError(io: Io, message: string): Promise<void> {
  await io.stderr(`track-usage: ${showControls(message)}\n`);
}
