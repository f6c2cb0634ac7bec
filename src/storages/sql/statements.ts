import type { Dialect } from './dialect.ts';

/** Statements that are the same in all SQL engines. Values are SQL expressions: literals or placeholders. */
export function statementsOf({ table, isSite, keep }: Pick<Dialect, 'table' | 'isSite' | 'keep'>) {
  return {
    position: (journal: string) => `SELECT position, ordinal FROM ${table('journals')} WHERE id = ${journal}`,
    forget: (journal: string) => `DELETE FROM ${table('journals')} WHERE id = ${journal}`,
    /** Selects a site by its name, which is not an expression. */
    site: (name: string) =>
      `SELECT sites.id, sites.time_zone FROM ${table('sites')} sites WHERE ${isSite(name)}`,
    series: (site: number | string, summary: string) =>
      `SELECT id FROM ${table('series')} WHERE site = ${site} AND summary = ${summary}`,
    /** Key of a day's visitor IDs, and those of days before one. */
    visitorKey: (site: number, day: string) =>
      `SELECT secret FROM ${table('visitor_keys')} WHERE site = ${site} AND day = ${day}`,
    oldVisitorKeys: (site: number, oldest: string) =>
      `DELETE FROM ${table('visitor_keys')} WHERE site = ${site} AND day < ${oldest}`,
    /** Adds a row, given as the values of its columns, unless its key exists. */
    add: (name: string, row: Readonly<Record<string, number | string>>) =>
      `INSERT INTO ${table(name)} (${Object.keys(row).join(', ')}) VALUES (${Object.values(row).join(', ')}) ${keep}`,
  };
}
