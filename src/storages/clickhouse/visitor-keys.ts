import type { VisitorKeyRequest } from '../../storage/contract.ts';
import { literal, type Statements } from './client.ts';
import type { Tables } from './table-names.ts';

const TABLE = 'usage_visitor_keys';
const COLUMNS = "site String, day String, secret String, created DateTime64(6, 'UTC') DEFAULT now64(6)";

/**
 * Keys of visitor IDs, in a table that is created when they are first used. A deduplication token makes the server
 * store only the first of several concurrent proposals.
 */
export class VisitorKeys {
  readonly #statements: Statements;
  readonly #tables: Tables;
  readonly #site: string;
  readonly #local: string;

  constructor(statements: Statements, tables: Tables, site: string) {
    this.#statements = statements;
    this.#tables = tables;
    this.#site = site;
    const { database, cluster } = tables.naming;
    this.#local = `${database}.${TABLE}${cluster ? '_local' : ''}`;
  }

  async get(request: VisitorKeyRequest): Promise<Uint8Array> {
    await this.#create();
    await this.#deleteBefore(request.oldest);
    const found = (await this.#find(request.day)) ?? (await this.#add(request));
    return Buffer.from(found, 'hex');
  }

  async #create(): Promise<void> {
    const { database, onCluster, cluster } = this.#tables.naming;
    const window = 'non_replicated_deduplication_window = 100, replicated_deduplication_window = 100';
    await this.#statements.run(
      `CREATE TABLE IF NOT EXISTS ${this.#local} ${onCluster} (${COLUMNS})
       ENGINE = ${cluster ? 'Replicated' : ''}MergeTree ORDER BY (site, day) SETTINGS ${window}`,
    );
    if (!cluster) return;
    await this.#statements.run(
      `CREATE TABLE IF NOT EXISTS ${database}.${TABLE} ${onCluster} (${COLUMNS})
       ENGINE = Distributed(${cluster}, ${database}, ${TABLE}_local)`,
    );
  }

  async #deleteBefore(oldest: string): Promise<void> {
    const old = `site = ${literal(this.#site)} AND day < ${literal(oldest)}`;
    const found = await this.#statements.rows(`SELECT 1 FROM ${this.#table} WHERE ${old} LIMIT 1`);
    if (found.length === 0) return;
    const { onCluster } = this.#tables.naming;
    await this.#statements.run(
      `ALTER TABLE ${this.#local} ${onCluster} DELETE WHERE ${old} SETTINGS mutations_sync = 2`,
    );
  }

  async #add({ day, proposal }: VisitorKeyRequest): Promise<string> {
    const values = [this.#site, day, Buffer.from(proposal).toString('hex')].map(literal).join(', ');
    // The token of a deleted key is still known.
    for (const token of [`visitor-key ${day} ${this.#site}`, `visitor-key ${values}`]) {
      // With several shards, always the same one.
      const shard = this.#tables.naming.cluster ? ', insert_shard_id = 1' : '';
      const settings = `async_insert = 0, insert_deduplicate = 1, insert_deduplication_token = ${literal(token)}${shard}`;
      await this.#statements.run(
        `INSERT INTO ${this.#table} (site, day, secret) SETTINGS ${settings} VALUES (${values})`,
      );
      const found = await this.#find(day);
      if (found !== undefined) return found;
    }
    throw new Error('the key of the visitors was not stored');
  }

  async #find(day: string): Promise<string | undefined> {
    const [row] = await this.#statements.rows<{ secret: string }>(
      `SELECT secret FROM ${this.#table} WHERE site = ${literal(this.#site)} AND day = ${literal(day)}
       ORDER BY created, secret LIMIT 1`,
    );
    return row?.secret;
  }

  get #table(): string {
    return `${this.#tables.naming.database}.${TABLE}`;
  }
}
