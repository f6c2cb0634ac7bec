import { Readable } from 'node:stream';

/** Settings of a statement, under the names that ClickHouse gives them. */
export type ClickhouseSettings = Record<string, string | number>;

/** Methods used of a client from `createClient()` of `@clickhouse/client`. */
export interface ClickhouseClient {
  /** Runs a query. */
  query(params: { query: string; format: 'JSONEachRow' }): Promise<{
    /** Reads all rows of the result. */
    json(): Promise<unknown>;
  }>;
  /** Runs a statement without a result. */
  command(params: { query: string; clickhouse_settings?: ClickhouseSettings }): Promise<unknown>;
  /** Runs a statement that reads a stream: an insert. */
  exec(params: { query: string; values: Readable; clickhouse_settings?: ClickhouseSettings }): Promise<{
    /** Body of the response, read to its end so that the connection can be reused. */
    stream: AsyncIterable<unknown>;
  }>;
  /** Closes the connections. Not called for a client of yours. */
  close(): Promise<void>;
}

/**
 * Settings of an insert. A batch must be stored synchronously, as one part or not at all. The server must not
 * work on it longer than the client waits (in s).
 */
const INSERT_SETTINGS: ClickhouseSettings = {
  async_insert: 0,
  insert_deduplicate: 1,
  // An imported log may span years in one batch.
  max_partitions_per_insert_block: 0,
  max_execution_time: 60,
  // The keys of a batch are already distinct.
  optimize_on_insert: 0,
};

/** Maximum time that a server may take for a query that may scan all records. In s. */
const QUERY_TIMEOUT = 30;
/** The server's error code for a setting that the user may not change. */
const READONLY = '164';

/** Runs SQL statements. */
export class Statements {
  readonly #client: ClickhouseClient;

  constructor(client: ClickhouseClient) {
    this.#client = client;
  }

  /**
   * Runs a query, given without FORMAT. Depending on the server's settings, 64-bit numbers are returned as
   * text.
   */
  async rows<Row>(query: string): Promise<Row[]> {
    const answer = await this.#client.query({ query, format: 'JSONEachRow' });
    return (await answer.json()) as Row[];
  }

  /** Runs a query with a time limit that the server enforces. */
  async limited<Row>(query: string): Promise<Row[]> {
    try {
      return await this.rows<Row>(`${query} SETTINGS max_execution_time = ${QUERY_TIMEOUT}`);
    } catch (error) {
      if ((error as { code?: string }).code !== READONLY) throw error;
      // A user without the right to change settings has its own limit.
      return this.rows<Row>(query);
    }
  }

  /** Runs a query that the server's log of queries must not contain. */
  async unlogged<Row>(query: string): Promise<Row[]> {
    try {
      return await this.rows<Row>(`${query} SETTINGS log_queries = 0`);
    } catch (error) {
      if ((error as { code?: string }).code !== READONLY) throw error;
      return this.rows<Row>(query);
    }
  }

  async run(query: string, settings: ClickhouseSettings = {}): Promise<void> {
    await this.#client.command({ query, clickhouse_settings: settings });
  }

  /**
   * Inserts a block in the Native format.
   * @param token Deduplication token. The server stores each only once.
   */
  async insert(
    table: string,
    block: readonly Buffer[],
    token: string,
    settings?: ClickhouseSettings,
  ): Promise<void> {
    const { stream } = await this.#client.exec({
      query: `INSERT INTO ${table} FORMAT Native`,
      values: Readable.from(block, { objectMode: false }),
      clickhouse_settings: { ...INSERT_SETTINGS, insert_deduplication_token: token, ...settings },
    });
    for await (const _ of stream);
  }
}

/** Returns a text literal of ClickHouse's SQL, whatever characters the text contains. */
export function literal(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

export function identifier(name: string): string {
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``;
}
