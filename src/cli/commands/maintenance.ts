import { resolve } from 'node:path';
import type { Command } from 'commander';
import { reasonOf, show, TrackUsageError } from '../../errors.ts';
import { bucket, integer, quantity } from '../../formats/numbers.ts';
import type { MaintenanceProgress, ScopeOptions } from '../../maintenance/scope.ts';
import type { BucketList, NotCounted, NotCovered, Uncountable } from '../../maintenance/verify.ts';
import type { Storage } from '../../query/storage.ts';
import { storageAt } from '../../storages/by-url.ts';
import { defineSummary, type Summary } from '../../summaries/define.ts';
import { loadKey } from '../../summaries/load-key.ts';
import { known } from '../../summaries/standard.ts';
import type { ProgressLine } from '../progress-line.ts';
import { named } from '../storage.ts';
import { addStorageOption } from './options.ts';

/** Options of the commands that compare summaries with records. */
export interface ScopeCommandOptions {
  storage: string;
  site: string;
  summary?: string[];
  module?: string;
  export?: string;
  from?: string;
  to?: string;
  json?: true;
}

/** Adds the options that select buckets. */
export function addScopeOptions(command: Command): Command {
  return addStorageOption(command)
    .option('--site <site>', 'site name, as in the app', 'default')
    .option(
      '--summary <names...>',
      'only these summaries, separated by spaces (default: all that are stored)',
    )
    .option('--module <file>', 'module that computes the keys of the custom summary in --summary')
    .option('--export <name>', 'its export with the key function (default: "default")')
    .option(
      '--from <date>',
      "first hour, day or month, such as 2026-11-01; in the site's time zone (default: the oldest)",
    )
    .option('--to <date>', 'last hour, day or month, inclusive (default: the newest)')
    .option('--json', 'print the result as JSON');
}

/** Opens a storage that exists already, runs the task, and closes it. */
export async function withStorage<T>(url: string, task: (storage: Storage) => Promise<T>): Promise<T> {
  const { label, open } = storageAt(url);
  return named(label, async () => {
    const storage = await open([]);
    try {
      // A maintained database must exist: opening its writing end would create it.
      await storage.reader.timeZone('default');
      return await task(storage);
    } finally {
      await storage.close();
    }
  });
}

/** Throws if the module of `--module` has no key function. */
export async function checkModule({ summary, module, export: exported }: ScopeCommandOptions): Promise<void> {
  if (summary === undefined || module === undefined) return;
  const [custom] = summariesOf(summary, module, exported) as [Summary];
  try {
    await loadKey(custom);
  } catch (error) {
    // Its message describes records that wait in a journal.
    const { cause } = error as Error;
    throw new TrackUsageError(
      'QUERY_INVALID',
      {
        name: '--module',
        value: show(module),
        expected: `a module with a key function: ${moduleReason(cause)}`,
      },
      { cause },
    );
  }
}

/** Returns the reason without the file of this library that imports the module. */
function moduleReason(error: unknown): string {
  return reasonOf(error).replace(/ (?:imported|resolving ES modules imported) from .*/s, '');
}

/** Returns the selected buckets. */
export function scopeOptionsOf(
  { site, summary, module, export: exported, from, to }: ScopeCommandOptions,
  storage: Storage,
  progress: ProgressLine,
): ScopeOptions {
  return {
    storage,
    site,
    ...(summary !== undefined && { summaries: summariesOf(summary, module, exported) }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    onProgress: (at: MaintenanceProgress) =>
      progress.show(() => `${integer(at.done)} of ${quantity(at.total, 'bucket')}`),
  };
}

function summariesOf(names: readonly string[], module?: string, exported?: string): (Summary | string)[] {
  if (module === undefined) return [...names];
  const [name = '', ...more] = names;
  if (more.length > 0 || known(name)) {
    throw new TrackUsageError('QUERY_INVALID', {
      name: '--summary',
      value: show(names.join(' ')),
      expected: 'one custom summary, because --module is given',
    });
  }
  return [
    defineSummary({ name, module: resolve(module), ...(exported !== undefined && { export: exported }) }),
  ];
}

/** Returns lines about what was not compared or not counted. */
export function notesOf({
  notCounted = [],
  notCovered,
  uncountable,
}: {
  notCounted?: readonly NotCounted[];
  notCovered: readonly NotCovered[];
  uncountable: readonly Uncountable[];
}): string[] {
  return [
    ...notCounted.map(
      (list) =>
        `${list.summary} does not count ${quantity(list.hits, 'stored request')} in ${listText(list)}.\n`,
    ),
    ...notCovered.map((list) => {
      const reason =
        list.reason === 'retention'
          ? 'the retention has deleted some of their records'
          : 'some of their records were deleted with a person';
      return `Not covered by the records: ${listText(list)}; ${reason}.\n`;
    }),
    ...uncountable.map(({ reason }) => `${reason}\n`),
  ];
}

function listText({ period, from, to, buckets }: BucketList): string {
  const [first, last] = [bucket(period, from), bucket(period, to)];
  return first === last ? `the ${period} ${first}` : `${quantity(buckets, period)} from ${first} to ${last}`;
}
