/** Maximum time that the server may take for a statement. In ms. */
const STATEMENT_TIMEOUT = 60_000;
/** Time limit of a query that may scan all records. The server enforces it. In ms. */
const QUERY_TIMEOUT = 30_000;

/** Methods used of a pool of `pg`. */
export interface PostgresPool {
  /** Runs a statement on any connection. */
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

/** Location of the tables. */
export interface PostgresLocation {
  /** Name in messages. Contains no password. */
  label: string;
  /** Name of the schema: letters, digits and underscores. */
  schema: string;
}

/** A schema and the pool that connects to it. Each statement is a separate transaction. */
export class Session {
  readonly label: string;
  /** Quoted name of the schema. */
  readonly schema: string;
  readonly #pool: PostgresPool;
  readonly #close: () => Promise<void>;

  /** @param close Ends the pool. Omitted for a pool of the user's. */
  constructor(pool: PostgresPool, { label, schema }: PostgresLocation, close = async () => {}) {
    this.label = label;
    this.schema = `"${schema}"`;
    this.#pool = pool;
    this.#close = close;
  }

  async query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    const { rows } = await this.#pool.query({ text, values, query_timeout: STATEMENT_TIMEOUT });
    return rows;
  }

  /** Runs a statement without values, with a time limit that the server enforces. */
  async limited<Row>(text: string): Promise<Row[]> {
    // Both statements are in one message and so in one transaction, which limits the setting to it.
    const results: unknown = await this.#pool.query({
      text: `SET LOCAL statement_timeout = ${QUERY_TIMEOUT}; ${text}`,
      query_timeout: STATEMENT_TIMEOUT,
    });
    return (results as { rows: Row[] }[]).at(-1)!.rows;
  }

  /** Runs several statements without values, in one transaction. */
  async script(text: string): Promise<void> {
    await this.#pool.query({ text, query_timeout: STATEMENT_TIMEOUT });
  }

  close(): Promise<void> {
    return this.#close();
  }
}
