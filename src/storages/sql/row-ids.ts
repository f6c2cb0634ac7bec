import { BoundedCache } from '../../platform/cache.ts';

/** A row that other tables refer to. Its name distinguishes it from the others of its table. */
export interface NamedRow {
  name: string;
}

/**
 * Finds the IDs of rows by their names and adds the missing rows, in a separate transaction. Rows that nothing
 * refers to are harmless. The result may omit rows that another writer added concurrently.
 */
export type LookUp<Row> = (rows: readonly Row[]) => Promise<ReadonlyMap<string, number>>;

const CACHED = 4_096;
/**
 * Maximum number of attempts. Others may add the same rows concurrently; more failures than this indicate an
 * error.
 */
const MAX_ATTEMPTS = 5;

/** Returns the IDs of rows by their names. */
export async function lookUpAll<Row extends NamedRow>(
  rows: readonly Row[],
  lookUp: LookUp<Row>,
): Promise<Map<string, number>> {
  const ids = new Map<string, number>();
  // Writers that insert in the same order cannot deadlock.
  let missing = [...rows].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (let attempts = 0; missing.length > 0; attempts++) {
    if (attempts === MAX_ATTEMPTS) throw new Error(`${missing.length} rows were neither found nor added`);
    for (const [name, id] of await lookUp(missing)) ids.set(name, id);
    missing = missing.filter(({ name }) => !ids.has(name));
  }
  return ids;
}

/** Cache of the row IDs of a table. */
export class RowIds<Row extends NamedRow> {
  readonly #lookUp: LookUp<Row>;
  readonly #ids = new BoundedCache<string, number>(CACHED);

  constructor(lookUp: LookUp<Row>) {
    this.#lookUp = lookUp;
  }

  /** Returns the ID of each row. */
  async idsOf(rows: readonly Row[]): Promise<number[]> {
    const found = rows.map(({ name }) => this.#ids.get(name));
    const missing = rows.filter((_, n) => found[n] === undefined);
    const added = await lookUpAll(missing, this.#lookUp);
    for (const [name, id] of added) this.#ids.set(name, id);
    return rows.map(({ name }, n) => found[n] ?? added.get(name)!);
  }

  /** Clears the cache, after a failure. */
  forget(): void {
    this.#ids.clear();
  }
}
