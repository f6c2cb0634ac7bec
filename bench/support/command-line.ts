import { parseArgs } from 'node:util';
import type { Framework } from '../servers/variant.ts';
import { LINE_UP } from '../servers/variants.ts';
import type { BenchOptions } from './options.ts';

/** Benchmarks that run by default. */
const ALL = ['http', 'writer', 'memory'];
const KNOWN = [
  ...ALL,
  'storages',
  'queries',
  'outage',
  'profile',
  'in-memory',
  'instances',
  'soak',
  'years',
  'attack',
  'year',
  'maintenance',
];
const FRAMEWORKS = Object.keys(LINE_UP) as Framework[];

const USAGE = `Usage: npm run bench -- [${KNOWN.join(' | ')}]…
  --quick            short smoke test, without meaningful figures
  --rounds n         number of repetitions of each measurement
  --framework name   http, profile, in-memory, soak: measures only this framework (${FRAMEWORKS.join(', ')});
                     can be repeated and abbreviated
  --storage name     storages, queries, years, year, maintenance: measures only this storage; outage: storage to stop (default: postgres)
  --minutes n        soak, attack: duration (default: 10); outage: duration of the outage (default: 1)
  --write            writes the figures to docs/project/benchmarks.md and README.md`;

interface CommandLine {
  names: readonly string[];
  options: BenchOptions;
  write: boolean;
}

/** Parses the command line. Exits if it is invalid. */
export function commandLine(args: readonly string[]): CommandLine {
  try {
    return read(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

function read(args: readonly string[]): CommandLine {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      framework: { type: 'string', multiple: true, default: [] },
      minutes: { type: 'string' },
      storage: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const { quick, rounds, framework, minutes, storage, write } = values;
  const unknown = positionals.find((name) => !KNOWN.includes(name));
  if (unknown !== undefined) throw new Error(`Unknown benchmark: ${unknown}.`);
  if (write && (quick || framework.length > 0 || storage !== undefined))
    throw new Error('--write requires a complete run, without --quick, --framework and --storage.');
  return {
    names: positionals.length > 0 ? positionals : ALL,
    options: {
      quick,
      rounds: positive('rounds', rounds, Number.isInteger),
      frameworks: framework.map(frameworkOf),
      minutes: positive('minutes', minutes, Number.isFinite),
      storage,
    },
    write,
  };
}

function positive(name: string, text: string | undefined, fits: (value: unknown) => boolean) {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!fits(value) || value <= 0)
    throw new Error(
      `--${name} must be a positive ${fits === Number.isInteger ? 'integer' : 'number'}, not ${text}.`,
    );
  return value;
}

function frameworkOf(text: string): Framework {
  const found = FRAMEWORKS.find((name) => name.toLowerCase().startsWith(text.toLowerCase()));
  if (!found) throw new Error(`Unknown framework: ${text}.`);
  return found;
}
