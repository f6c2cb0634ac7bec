import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { show, TrackUsageError } from '../errors.ts';
import { checkOptions } from '../options/checks.ts';
import type { CapturedRecord, TextColumn, UsageRecord } from '../record.ts';
import { COVERAGE } from './coverage.ts';

/**
 * The keys of a record: one, several (it counts once for each, 16 at most), or `null`, `undefined` or `''` for none. A
 * key longer than 512 characters is cut and ends with a hash.
 */
export type KeyAnswer = string | readonly string[] | null | undefined;

/**
 * What a module that `defineSummary` names exports. It is called in the writer's thread with the whole record, once for
 * each storage, and again when a batch is repeated.
 */
export type KeyFunction = (record: UsageRecord) => KeyAnswer;

/**
 * A rule that gives a record its key. Each storage that has it among its hooks keeps, for every hour, day and
 * month, the hits, bytes, errors and time of each key.
 */
export interface Summary {
  /** Lower case with dashes; the name in queries, the CLI and the database. */
  readonly name: string;
  /** How the documentation and messages call it, such as `sumUrls`. */
  readonly title: string;
  /** The column of the record whose value is the key; none for a summary of the user's own. */
  readonly column?: TextColumn;
  /** Called in the app's thread, when the request is captured. */
  readonly key?: (record: CapturedRecord) => KeyAnswer;
  /** The URL of the module whose function is called in the writer's thread instead. */
  readonly module?: string;
  /** The name under which that module exports the function. */
  readonly export?: string;
}

/** Several summaries under one name. */
export interface SummaryGroup {
  readonly name: string;
  readonly title: string;
  readonly members: readonly Summary[];
}

/** What names a summary: itself, a group, or the name of either. */
export type SummaryLike = Summary | SummaryGroup | string;

/** What `defineSummary` takes: the key as a function, or as a module that exports one. */
export type SummaryDefinition = { name: string } & (
  | {
      /**
       * Called in the app's thread just before the response is complete, with what is known then: all of the record
       * but language, country, geo, bot and what the user agent says. It must be quick, cannot wait, and must not
       * change the record.
       */
      key: (record: CapturedRecord) => KeyAnswer;
    }
  | {
      /** The module's absolute path or file URL: `new URL('./plan.js', import.meta.url)`. */
      module: string | URL;
      /** The name under which it exports a `KeyFunction`. Defaults to `default`. */
      export?: string;
    }
);

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const LONGEST_NAME = 40;

/**
 * A summary of your own, equal to the standard ones everywhere: in storages, questions and the CLI. Its name should
 * stay: under it the numbers are kept.
 */
export function defineSummary(definition: SummaryDefinition): Summary {
  checkOptions('defineSummary', definition, ['name', 'key', 'module', 'export']);
  const given = definition as { name?: unknown; key?: unknown; module?: unknown; export?: unknown };
  const { name } = given;
  if (typeof name !== 'string' || !NAME.test(name) || name.length > LONGEST_NAME) {
    throw invalid('name', name, `lower case letters and digits with dashes, up to ${LONGEST_NAME}`);
  }
  if ((given.key === undefined) === (given.module === undefined)) {
    throw invalid('key', given.key, 'a function, or a module instead of it');
  }
  if (given.module === undefined) {
    if (typeof given.key !== 'function') throw invalid('key', given.key, 'a function');
    if (given.export !== undefined) throw invalid('export', given.export, 'a module beside it');
    return { name, title: name, key: given.key as NonNullable<Summary['key']> };
  }
  const { export: exported = 'default' } = given;
  if (typeof exported !== 'string' || exported === '') {
    throw invalid('export', exported, 'the name of an export');
  }
  return { name, title: name, module: moduleOf(given.module), export: exported };
}

/** A bare name would be looked for beside this library, and a relative one beside its own files. */
function moduleOf(given: unknown): string {
  const text = given instanceof URL ? given.href : given;
  if (typeof text === 'string' && text.startsWith('file:')) return text;
  if (typeof text === 'string' && isAbsolute(text)) return pathToFileURL(text).href;
  throw invalid('module', given, 'an absolute path or a file URL: new URL("./plan.js", import.meta.url)');
}

function invalid(name: string, value: unknown, expected: string): TrackUsageError {
  return new TrackUsageError('OPTION_INVALID', {
    name: `defineSummary.${name}`,
    value: show(value),
    expected,
  });
}

/**
 * Turns names and groups into summaries, in order, each once. Two that share a name must be the same: they would add
 * to the same numbers.
 */
export function resolveSummaries(
  hooks: readonly unknown[],
  known: ReadonlyMap<string, Summary | SummaryGroup>,
): Summary[] {
  const resolved = new Map<string, Summary>();
  for (const hook of hooks) {
    const found = typeof hook === 'string' ? known.get(hook) : hook;
    if (!isSummaryOrGroup(found)) {
      throw new TrackUsageError('SUMMARY_UNKNOWN', {
        value: show(hook),
        known: [...known.keys()].join(', '),
      });
    }
    for (const summary of 'members' in found ? found.members : [found]) {
      const same = resolved.get(summary.name) ?? known.get(summary.name);
      // Two that are added to the same numbers would count each request twice.
      const isTaken = same !== undefined && !isSame(same as Summary, summary);
      if (isTaken || summary.name === COVERAGE.name) {
        throw new TrackUsageError('SUMMARY_TAKEN', { name: summary.name });
      }
      resolved.set(summary.name, summary);
    }
  }
  return [...resolved.values()];
}

/** Whether two summaries find the same keys; a bundle may hold a second copy of this library's. */
export function isSame(one: Summary, other: Summary): boolean {
  return (['column', 'key', 'module', 'export'] as const).every((part) => one[part] === other[part]);
}

function isSummaryOrGroup(value: unknown): value is Summary | SummaryGroup {
  if (typeof value !== 'object' || value === null) return false;
  return 'members' in value || 'column' in value || 'key' in value || 'module' in value;
}
