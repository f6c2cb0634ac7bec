/** How long the server may take for a statement. In ms. */
const STATEMENT_TIMEOUT = 60_000;

/** What is used of a pool of `mysql2` or `mysql2/promise`. */
export interface MysqlPool {
  // biome-ignore lint/suspicious/noExplicitAny: the one takes a callback, the other gives a promise.
  getConnection(callback?: any): any;
}

/** Where it is stored. */
export interface MysqlPlace {
  /** For messages; holds no password. */
  label: string;
  /** The name of the database. */
  database: string;
  /** What the names of all tables begin with: lower case letters, digits and underscores. */
  prefix: string;
}

/** A row as text, whatever the settings of a pool make of numbers and dates. */
export type Row = Record<string, string | null>;

/** Sends a statement; what it gives are its rows, none where it only changes some. */
export type Query = (sql: string) => Promise<Row[]>;

interface Connection {
  query(options: object): Promise<[rows: unknown, fields: unknown]>;
  release(): void;
  destroy(): void;
  /** Below the promises. */
  connection?: object;
}

/**
 * What a connection needs: nothing is cut in silence, no other engine takes the place of InnoDB, each statement is a
 * transaction unless one is begun, texts come as they are, long ones are ordered by all of their bytes, and answers
 * come whole.
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

/** A database, and the pool that leads to it. */
export class Session {
  readonly label: string;
  readonly place: MysqlPlace;
  /** Makes the database; not with a pool of the user's. */
  readonly createDatabase: (() => Promise<void>) | undefined;
  readonly #pool: { getConnection(): Promise<Connection> };
  readonly #own: { close(): Promise<void> } | undefined;
  /** The connections of an own pool that are set up. */
  readonly #ready = new WeakSet<object>();

  /** @param own What can be done with a pool of our own. */
  constructor(
    pool: MysqlPool,
    place: MysqlPlace,
    own?: { createDatabase(): Promise<void>; close(): Promise<void> },
  ) {
    const { promise } = pool as { promise?: () => MysqlPool };
    this.#pool = typeof promise === 'function' ? promise.call(pool) : pool;
    this.place = place;
    this.label = place.label;
    this.createDatabase = own?.createDatabase;
    this.#own = own;
  }

  /** The quoted name of a table or a view, with its database's. */
  readonly table = (name: string): string => {
    const { database, prefix } = this.place;
    return `\`${database.replaceAll('`', '``')}\`.\`${prefix}${name}\``;
  };

  /** Several statements on one connection, which is not used again when one of them fails. */
  async lease<T>(run: (query: Query) => Promise<T>): Promise<T> {
    const connection = await this.#pool.getConnection();
    const query: Query = (sql) => ask(connection, sql);
    const core = connection.connection ?? connection;
    try {
      if (!this.#ready.has(core)) await query(SET);
      // One of the user's is given back as it was.
      if (this.#own) this.#ready.add(core);
      const result = await run(query);
      if (!this.#own) await query(SET_BACK);
      connection.release();
      return result;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  query(sql: string): Promise<Row[]> {
    return this.lease((query) => query(sql));
  }

  async close(): Promise<void> {
    await this.#own?.close();
  }
}

async function ask(connection: Connection, sql: string): Promise<Row[]> {
  const [rows] = await connection.query({
    sql,
    // None: it is not searched for placeholders.
    values: null,
    namedPlaceholders: false,
    rowsAsArray: false,
    nestTables: false,
    typeCast: (field: { string(): string | null }) => field.string(),
    timeout: STATEMENT_TIMEOUT,
  });
  return Array.isArray(rows) ? rows : [];
}
