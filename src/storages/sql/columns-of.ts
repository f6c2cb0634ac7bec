import type { Dialect } from './dialect.ts';

/** Returns the result of a statement as whole columns. */
export async function columnsOf<Name extends string>(
  { query, hint = '', jsonOf }: Pick<Dialect, 'query' | 'hint' | 'jsonOf'>,
  names: readonly Name[],
  statement: string,
): Promise<Record<Name, readonly unknown[]>> {
  const selected = names.map((name) => `${jsonOf ? jsonOf(`r.${name}`) : `r.${name}`} AS ${name}`).join(', ');
  const rows = await query(`SELECT ${hint} ${selected} FROM (${statement}) r`);
  const column = (name: Name): unknown[] =>
    jsonOf ? JSON.parse(String(rows[0]![name] ?? '[]')) : rows.map((row) => row[name]);
  return Object.fromEntries(names.map((name) => [name, column(name)])) as Record<Name, unknown[]>;
}
