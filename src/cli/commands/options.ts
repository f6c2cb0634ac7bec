import { type Command, InvalidArgumentError, Option } from 'commander';
import { BOTS, type Bots } from '../../query/query-types.ts';
import type { UsageOptions } from '../../query/sums-and-records.ts';

const FORMATS = ['table', 'json', 'csv'] as const;

/** Options of every query command. */
export interface CommonOptions extends UsageOptions {
  from?: string;
  to?: string;
  limit: number;
  page: number;
  site: string;
  bots: Bots;
  storage: string;
  format: (typeof FORMATS)[number];
}

const DEFAULT_LIMIT = 500;

/** Adds the options of every command that reads a storage. */
export function addStorageOption(command: Command): Command {
  return command.requiredOption(
    '-s, --storage <storage>',
    'sqlite:PATH, a path that ends in .db, .sqlite or .sqlite3, or a URL such as mysql://user@host/usage',
  );
}

/** Creates the option `--bots`. */
export function botsOption(): Option {
  return new Option('--bots <bots>', 'requests to count').choices(BOTS).default('include');
}

/**
 * Adds the common options.
 * @param limited Name of the date that `from` and `to` limit.
 */
export function addCommonOptions(command: Command, limited: string): Command {
  return addStorageOption(command)
    .option(
      '--from <date>',
      `earliest ${limited}, such as 2026-11-01 or 2026-11-01T10:00; in the site's time zone`,
    )
    .option('--to <date>', `latest ${limited}; a date without a time means midnight (default: now)`)
    .option('--limit <rows>', 'rows per page; 0 for all', wholeNumber, DEFAULT_LIMIT)
    .option('--page <page>', 'page number, from 1', pageNumber, 1)
    .option('--site <site>', 'site name, as in the app', 'default')
    .addOption(botsOption())
    .addOption(new Option('--format <format>', 'output format').choices(FORMATS).default('table'));
}

/** Returns whether rows are those of the last page. */
export function isLastPage(rows: readonly unknown[], { limit }: Pick<CommonOptions, 'limit'>): boolean {
  return limit === 0 || rows.length < limit;
}

/** Returns the options that belong to the query. */
export function queryOf({ from, to, limit, page, site, bots }: CommonOptions): UsageOptions {
  return {
    limit,
    page,
    site,
    bots,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

function pageNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 1.');
  return Number(text);
}
