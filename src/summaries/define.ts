import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { show, TrackUsageError } from '../errors.ts';
import { checkOptions } from '../options/checks.ts';
import type { CapturedRecord, TextColumn, UsageRecord } from '../record.ts';
import { RESERVED } from './coverage.ts';

/**
 * Keys of a record: one, or up to 16, each of which counts the record once. `null`, `undefined` or `''` mean
 * none. A key longer than 512 characters is truncated and ends with a hash.
 */
export type KeyResult = string | readonly string[] | null | undefined;

/**
 * Function exported by the module of `defineSummary`. Called in the writer's thread with the complete record,
 * once per storage, and again when a batch is retried.
 */
export type KeyFunction = (record: UsageRecord) => KeyResult;

/**
 * Rule that assigns a key to each record. Storages with this summary in `hooks` store the hits, transfer,
 * errors and duration of each key, for every hour, day and month.
 */
export interface Summary {
  /** Name in queries, the CLI and the database. Lowercase with dashes. */
  readonly name: string;
  /** Name in the documentation and messages, for example `sumUrls`. */
  readonly title: string;
  /** Record column that contains the key. Omitted for user-defined summaries. */
  readonly column?: TextColumn;
  /** Called in the app's thread when the request is captured. */
  readonly key?: (record: CapturedRecord) => KeyResult;
  /** URL of a module whose function is called in the writer's thread instead. */
  readonly module?: string;
  /** Name under which the module exports the function. */
  readonly export?: string;
  /** True if the distribution of each key's durations is kept, for percentiles. Defaults to false. */
  readonly latency?: boolean;
}

/** Several summaries under one name. */
export interface SummaryGroup {
  /** Name in `hooks`, for example `basic`. */
  readonly name: string;
  /** Name in the documentation and messages, for example `sumBasic`. */
  readonly title: string;
  /** Summaries of the group. */
  readonly members: readonly Summary[];
}

/** A summary, a group, or the name of either. */
export type SummaryLike = Summary | SummaryGroup | string;

/** Argument of `defineSummary`: the key as a function, or a module that exports one. */
export type SummaryDefinition = {
  /**
   * Name in queries, the CLI and the database: lowercase letters, digits and dashes, up to 40 characters, and not the
   * name of a standard summary.
   */
  name: string;
  /**
   * Keeps the distribution of each key's durations, for percentiles. Each key then has about 20 to 100 more rows per
   * bucket. Defaults to false.
   */
  latency?: boolean;
} & (
  | {
      /**
       * Called synchronously in the app's thread just before the response is complete. The record lacks
       * language, country, geo, bot and the parsed user agent. The function must be fast and must not modify
       * the record.
       */
      key: (record: CapturedRecord) => KeyResult;
    }
  | {
      /** Absolute path or file URL of the module: `new URL('./plan.js', import.meta.url)`. */
      module: string | URL;
      /** Name of the exported `KeyFunction`. Defaults to `default`. */
      export?: string;
    }
);

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const MAX_NAME_LENGTH = 40;

/**
 * Defines a custom summary, which works like the standard ones in storages, queries and the CLI. Keep its
 * name unchanged, because its sums are stored under it.
 */
export function defineSummary(definition: SummaryDefinition): Summary {
  checkOptions('defineSummary', definition, ['name', 'key', 'module', 'export', 'latency']);
  const given = definition as Readonly<Record<string, unknown>>;
  const { name, latency = false } = given;
  if (typeof name !== 'string' || !NAME.test(name) || name.length > MAX_NAME_LENGTH) {
    throw invalid('name', name, `lowercase letters, digits and dashes, up to ${MAX_NAME_LENGTH}`);
  }
  if (typeof latency !== 'boolean') throw invalid('latency', latency, 'true or false');
  const common = { name, title: name, ...(latency && { latency }) };
  if ((given.key === undefined) === (given.module === undefined)) {
    throw invalid('key', given.key, 'a function, unless module is given');
  }
  if (given.module === undefined) {
    if (typeof given.key !== 'function') throw invalid('key', given.key, 'a function');
    if (given.export !== undefined) throw invalid('export', given.export, 'only together with module');
    return { ...common, key: given.key as NonNullable<Summary['key']> };
  }
  const { export: exported = 'default' } = given;
  if (typeof exported !== 'string' || exported === '') {
    throw invalid('export', exported, 'the name of an export');
  }
  return { ...common, module: moduleOf(given.module), export: exported };
}

/** Returns the module's URL. A bare name or relative path would be resolved from this library. */
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
 * Resolves names and groups to summaries, in order and without duplicates. Summaries with the same name must
 * be identical, because they share their sums.
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
      // Two different summaries with the same sums would count each request twice.
      const isTaken = same !== undefined && !isSame(same as Summary, summary);
      if (isTaken || RESERVED.includes(summary.name)) {
        throw new TrackUsageError('SUMMARY_TAKEN', { name: summary.name });
      }
      resolved.set(summary.name, summary);
    }
  }
  return [...resolved.values()];
}

/** Returns whether two summaries have the same keys and measures. A bundle may contain a second copy of this library's. */
export function isSame(one: Summary, other: Summary): boolean {
  return (['column', 'key', 'module', 'export', 'latency'] as const).every(
    (part) => one[part] === other[part],
  );
}

function isSummaryOrGroup(value: unknown): value is Summary | SummaryGroup {
  if (typeof value !== 'object' || value === null) return false;
  return 'members' in value || 'column' in value || 'key' in value || 'module' in value;
}
