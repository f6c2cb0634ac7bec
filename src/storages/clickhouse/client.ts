import { Readable } from 'node:stream';

type Settings = Record<string, string | number>;

/** What is used of `createClient()` of `@clickhouse/client`. */
export interface ClickhouseClient {
  query(params: { query: string; format: 'JSONEachRow' }): Promise<{ json(): Promise<unknown> }>;
  command(params: { query: string; clickhouse_settings?: Settings }): Promise<unknown>;
  exec(params: {
    query: string;
    values: Readable;
    clickhouse_settings?: Settings;
  }): Promise<{ stream: AsyncIterable<unknown> }>;
  close(): Promise<void>;
}

/**
 * A batch must come as one part, or not at all, and at once; and a server must not work on it for longer than
 * anybody waits for it (in s).
 */
const INSERT_SETTINGS: Settings = {
  async_insert: 0,
  insert_deduplicate: 1,
  // Years of an imported log may lie in one batch.
  max_partitions_per_insert_block: 0,
  max_execution_time: 60,
  // The keys of a batch are distinct already.
  optimize_on_insert: 0,
};

/** How long a server may work on a question that may go through all records. In s. */
const QUESTION_TIMEOUT = 30;
/** The server's code for a setting that may not be changed. */
const READONLY = '164';

/** Statements, as SQL. */
export class Statements {
  readonly #client: ClickhouseClient;

  constructor(client: ClickhouseClient) {
    this.#client = client;
  }

  /** Without FORMAT. 64-bit numbers may come as texts, by the server's settings. */
  async rows<Row>(query: string): Promise<Row[]> {
    const answer = await this.#client.query({ query, format: 'JSONEachRow' });
    return (await answer.json()) as Row[];
  }

  /** The same, which the server ends when it takes for long. */
  async limited<Row>(query: string): Promise<Row[]> {
    try {
      return await this.rows<Row>(`${query} SETTINGS max_execution_time = ${QUESTION_TIMEOUT}`);
    } catch (error) {
      if ((error as { code?: string }).code !== READONLY) throw error;
      // A user that may change no setting has the limit that it was given.
      return this.rows<Row>(query);
    }
  }

  async run(query: string): Promise<void> {
    await this.#client.command({ query });
  }

  /**
   * Inserts a block in the format Native.
   * @param token The server takes each only once.
   */
  async insert(table: string, block: readonly Buffer[], token: string, settings?: Settings): Promise<void> {
    const { stream } = await this.#client.exec({
      query: `INSERT INTO ${table} FORMAT Native`,
      values: Readable.from(block, { objectMode: false }),
      clickhouse_settings: { ...INSERT_SETTINGS, insert_deduplication_token: token, ...settings },
    });
    for await (const _ of stream);
  }
}

/** A text as a literal of ClickHouse's SQL, whatever it holds. */
export function literal(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

export function identifier(name: string): string {
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``;
}
