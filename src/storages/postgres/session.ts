/** How long the server may take for a statement. In ms. */
const STATEMENT_TIMEOUT = 60_000;
/** The same for a question that may go through all records, which the server then ends by itself. In ms. */
const QUESTION_TIMEOUT = 30_000;

/** What is used of a pool of `pg`. */
export interface PostgresPool {
  query(statement: {
    text: string;
    values?: unknown[];
    /** In ms. */
    query_timeout?: number;
    // biome-ignore lint/suspicious/noExplicitAny: what a pool of the user's gives for a row.
  }): Promise<{ rows: any[] }>;
}

/** Where it is stored. */
export interface PostgresPlace {
  /** For messages; holds no password. */
  label: string;
  /** The name of the schema: letters, digits and underscores. */
  schema: string;
}

/** A schema, and the pool that leads to it. Each statement is a transaction of its own. */
export class Session {
  readonly label: string;
  /** Its quoted name. */
  readonly schema: string;
  readonly #pool: PostgresPool;
  readonly #close: () => Promise<void>;

  /** @param close Nothing for a pool of the user's. */
  constructor(pool: PostgresPool, { label, schema }: PostgresPlace, close = async () => {}) {
    this.label = label;
    this.schema = `"${schema}"`;
    this.#pool = pool;
    this.#close = close;
  }

  async query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    const { rows } = await this.#pool.query({ text, values, query_timeout: STATEMENT_TIMEOUT });
    return rows;
  }

  /** A statement without values that the server ends when it takes for long. */
  async limited<Row>(text: string): Promise<Row[]> {
    // Both in one message, and so in one transaction, whose end ends the setting.
    const results: unknown = await this.#pool.query({
      text: `SET LOCAL statement_timeout = ${QUESTION_TIMEOUT}; ${text}`,
      query_timeout: STATEMENT_TIMEOUT,
    });
    return (results as { rows: Row[] }[]).at(-1)!.rows;
  }

  /** Several statements without values, in one transaction. */
  async script(text: string): Promise<void> {
    await this.#pool.query({ text, query_timeout: STATEMENT_TIMEOUT });
  }

  close(): Promise<void> {
    return this.#close();
  }
}
