import { PERIODS } from '../../summaries/periods.ts';
import { PERIOD_NAMES, serverRecords, sumsWithKeys, viewName } from '../sql/views.ts';
import { TABLES } from './tables.ts';

/** Returns the quoted name of a table. */
type NameOf = (table: string) => string;

/** Views of a summary: their names and the tables that they read. */
export const SUMMARY_VIEWS = PERIODS.map((period) => ({
  of: TABLES[period],
  nameOf: (summary: string) => viewName(summary, PERIOD_NAMES[period]),
}));

/** Creates a view with the rights of its invoker, so that it still works after its creator is removed. */
export function createView(name: string, select: string, create = 'CREATE'): string {
  return `${create} SQL SECURITY INVOKER VIEW ${name} AS ${select}`;
}

export function viewOfSummary(table: NameOf, of: string, summary: string): string {
  return sumsWithKeys((name) => `${table(name)} ${name}`, table(of), summary, {
    key: '`key`',
    order: 't.key = 0, CAST(strings.text AS BINARY)',
  });
}

export function viewOfRecords(table: NameOf): string {
  return recordsOf(table, table('requests'));
}

/** Selects records with their texts. `from` is the table, or a selection of its rows. */
export function recordsOf(table: NameOf, from: string): string {
  return serverRecords(table, from, { authorization: 'e.credentials AS `authorization`', notBot: '0' });
}
