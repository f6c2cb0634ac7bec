/** Maximum time that the server may take for a statement. In ms. */
const STATEMENT_TIMEOUT = 60_000;
/** Time limit of a query that may scan all records. The server enforces it. In ms. */
const QUERY_TIMEOUT = 30_000;

/** Methods used of a pool or a connection of `pg`. */
interface Queryable {
  /** Runs a statement. */
  query(statement: {
    text: string;
    values?: unknown[];
    /** Query timeout, in ms. */
    query_timeout?: number;
  }): Promise<{
    /** Rows of the result, as objects. */
    // biome-ignore lint/suspicious/noExplicitAny: what a pool of the user's gives for a row.
    rows: any[];
  }>;
}

/** Methods used of a connection of `pg`. */
export interface PostgresConnection extends Queryable {
  /** Returns the connection to the pool, or closes it. */
  release(isBroken?: boolean): void;
  /** Adds a listener. */
  on(event: 'error', listener: () => void): unknown;
  /** Removes a listener. */
  off(event: 'error', listener: () => void): unknown;
}

/** Methods used of a pool of `pg`. */
export interface PostgresPool extends Queryable {
  /** Returns a connection for a transaction. */
  connect(): Promise<PostgresConnection>;
}

/** Location of the tables. */
export interface PostgresLocation {
  /** Name in messages. Contains no password. */
  label: string;
  /** Name of the schema: letters, digits and underscores. */
  schema: string;
}

/** The driver also reports a lost connection as an event. The statement fails anyway. */
const ignore = () => {};

/** A schema, and a connection to its database. */
export class Connection {
  readonly label: string;
  /** Quoted name of the schema. */
  readonly schema: string;
  readonly #connection: Queryable;

  constructor(connection: Queryable, { label, schema }: PostgresLocation) {
    this.label = label;
    this.schema = `"${schema}"`;
    this.#connection = connection;
  }

  async query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    const { rows } = await this.#connection.query({ text, values, query_timeout: STATEMENT_TIMEOUT });
    return rows;
  }

  /** Runs a statement without values, with a time limit that the server enforces. */
  async limited<Row>(text: string): Promise<Row[]> {
    return this.script(`SET LOCAL statement_timeout = ${QUERY_TIMEOUT}; ${text}`);
  }

  /**
   * Runs several statements without values, in one message and so in one transaction. Returns the rows of the last.
   * @param timeout Maximum time for all, in ms.
   */
  async script<Row>(text: string, timeout = STATEMENT_TIMEOUT): Promise<Row[]> {
    const results: unknown = await this.#connection.query({ text, query_timeout: timeout });
    return ([results].flat() as { rows: Row[] }[]).at(-1)!.rows;
  }
}

/** A schema and the pool that connects to it. Each statement is a separate transaction. */
export class Session extends Connection {
  readonly #pool: PostgresPool;
  readonly #location: PostgresLocation;
  readonly #close: () => Promise<void>;

  /** @param close Ends the pool. Omitted for a pool of the user's. */
  constructor(pool: PostgresPool, location: PostgresLocation, close = async () => {}) {
    super(pool, location);
    this.#pool = pool;
    this.#location = location;
    this.#close = close;
  }

  /**
   * Runs statements in one transaction. The connection is not reused if one of them fails.
   * @param mode Mode of the transaction, for `BEGIN`.
   */
  async transaction<T>(mode: string, run: (connection: Connection) => Promise<T>): Promise<T> {
    const leased = await this.#pool.connect();
    leased.on('error', ignore);
    let isBroken = true;
    try {
      const connection = new Connection(leased, this.#location);
      await connection.script(`BEGIN ${mode}`);
      const result = await run(connection);
      await connection.script('COMMIT');
      isBroken = false;
      return result;
    } finally {
      leased.off('error', ignore);
      // The driver handles the errors of connections that it closes.
      leased.release(isBroken);
    }
  }

  close(): Promise<void> {
    return this.#close();
  }
}
