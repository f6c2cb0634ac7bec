/** Maximum time that the server may take for a statement. In ms. */
const STATEMENT_TIMEOUT = 60_000;

/** Methods used of a pool of `mysql2` or `mysql2/promise`. */
export interface MysqlPool {
  /** Returns a connection: passed to the callback by `mysql2`, by a promise by `mysql2/promise`. */
  // biome-ignore lint/suspicious/noExplicitAny: the one takes a callback, the other gives a promise.
  getConnection(callback?: any): any;
}

/** Location of the tables. */
export interface MysqlLocation {
  /** Name in messages. Contains no password. */
  label: string;
  /** Name of the database. */
  database: string;
  /** Prefix of the names of all tables: lowercase letters, digits and underscores. */
  prefix: string;
}

/** A row with all values as text, independent of a pool's settings for numbers and dates. */
export type Row = Record<string, string | null>;

/** Runs a statement and returns its rows. If it changes data, returns one row: see `affectedBy`. */
export type Query = (sql: string, timeout?: number) => Promise<Row[]>;

interface Connection {
  query(options: object): Promise<[rows: unknown, fields: unknown]>;
  release(): void;
  destroy(): void;
  /** Underlying connection of a promise-based one. */
  connection?: object;
}

/**
 * Session settings. They reject truncation and a substitute for InnoDB, and commit each statement unless a
 * transaction was begun. Texts are returned unconverted, long ones are sorted by all of their bytes, and
 * result limits are lifted.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  sql_mode: "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
  autocommit: '1',
  character_set_results: "'utf8mb4'",
  max_sort_length: '16384',
  sql_select_limit: '18446744073709551615',
  sql_big_selects: '1',
};
const NAMES = Object.keys(SETTINGS);
const SET = `SET ${[
  ...NAMES.map((name) => `@track_usage_${name} = @@SESSION.${name}`),
  ...NAMES.map((name) => `SESSION ${name} = ${SETTINGS[name]}`),
].join(', ')}`;
const SET_BACK = `SET ${NAMES.map((name) => `SESSION ${name} = @track_usage_${name}`).join(', ')}`;

/** A database and the pool that connects to it. */
export class Session {
  readonly label: string;
  readonly location: MysqlLocation;
  /** Creates the database. Omitted for a pool of the user's. */
  readonly createDatabase: (() => Promise<void>) | undefined;
  readonly #pool: { getConnection(): Promise<Connection> };
  readonly #resources: { close(): Promise<void> } | undefined;
  /** Configured connections of our own pool. */
  readonly #ready = new WeakSet<object>();

  /** @param resources Operations that are available only for our own pool. */
  constructor(
    pool: MysqlPool,
    location: MysqlLocation,
    resources?: { createDatabase(): Promise<void>; close(): Promise<void> },
  ) {
    const { promise } = pool as { promise?: () => MysqlPool };
    this.#pool = typeof promise === 'function' ? promise.call(pool) : pool;
    this.location = location;
    this.label = location.label;
    this.createDatabase = resources?.createDatabase;
    this.#resources = resources;
  }

  /** Returns the quoted name of a table or view, with its database. */
  readonly table = (name: string): string => {
    const { database, prefix } = this.location;
    return `\`${database.replaceAll('`', '``')}\`.\`${prefix}${name}\``;
  };

  /** Runs several statements on one connection. The connection is not reused if one of them fails. */
  async lease<T>(run: (query: Query) => Promise<T>): Promise<T> {
    const connection = await this.#pool.getConnection();
    const query: Query = (sql, timeout) => runQuery(connection, sql, timeout);
    const core = connection.connection ?? connection;
    try {
      if (!this.#ready.has(core)) await query(SET);
      // A connection of the user's pool is returned with its original settings.
      if (this.#resources) this.#ready.add(core);
      const result = await run(query);
      if (!this.#resources) await query(SET_BACK);
      connection.release();
      return result;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  /** @param timeout Maximum time that the server may take, in ms. */
  query(sql: string, timeout?: number): Promise<Row[]> {
    return this.lease((query) => query(sql, timeout));
  }

  async close(): Promise<void> {
    await this.#resources?.close();
  }
}

async function runQuery(connection: Connection, sql: string, timeout = STATEMENT_TIMEOUT): Promise<Row[]> {
  const [rows] = await connection.query({
    sql,
    // Without values, the driver does not search for placeholders.
    values: null,
    namedPlaceholders: false,
    rowsAsArray: false,
    nestTables: false,
    typeCast: (field: { string(): string | null }) => field.string(),
    timeout,
  });
  return Array.isArray(rows)
    ? rows
    : [{ affected: String((rows as { affectedRows?: number }).affectedRows ?? 0) }];
}

/** Returns the number of rows that statements have changed. An insert that updates a row counts twice. */
export function affectedBy(results: readonly Row[]): number {
  return results.reduce((sum, { affected }) => sum + Number(affected), 0);
}
