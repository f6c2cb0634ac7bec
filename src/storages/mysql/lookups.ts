import { type Agent, agentName } from '../sql/agents.ts';
import { ENDPOINT_COLUMNS } from '../sql/columns.ts';
import { type Endpoint, endpointName } from '../sql/endpoints.ts';
import type { NamedRow } from '../sql/row-ids.ts';
import type { LookUps } from '../sql/shared-rows.ts';
import type { Text } from '../sql/texts.ts';
import { binary } from './literals.ts';
import { type RowsStatement, send } from './packets.ts';
import type { Row, Session } from './session.ts';
import { addAgents, addEndpoints, addTexts } from './statements.ts';

/** Longest IN list. For longer ones, MariaDB creates a temporary table first. */
const MAX_LIST_LENGTH = 900;
/** Maximum number of conditions that both servers still look up in the index one by one. */
const MAX_CONDITIONS = 200;

/** Looks up rows and adds the missing ones. The lookup comes first, because a failed insert uses up an ID. */
export class Lookups implements LookUps {
  readonly #session: Session;
  #packet: number | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Returns the server's `max_allowed_packet`, in bytes. */
  async packet(): Promise<number> {
    if (this.#packet === undefined) {
      const [row] = await this.#session.query('SELECT @@max_allowed_packet AS packet');
      this.#packet = Number(row!.packet);
    }
    return this.#packet;
  }

  /** Clears the cache, after a failure. */
  forget(): void {
    this.#packet = undefined;
  }

  readonly texts = (wanted: readonly Text[]) =>
    this.#findOrAdd(
      wanted,
      addTexts,
      MAX_LIST_LENGTH,
      ({ hash }) => hash!,
      (some) => ({
        head: `SELECT LOWER(HEX(hash)) AS hash, id FROM ${this.#session.table('strings')} WHERE hash IN (`,
        rows: some.map(({ hash }) => binary(hash)),
        tail: ')',
      }),
    );

  readonly endpoints = (wanted: readonly Endpoint[]) =>
    this.#findOrAdd(wanted, addEndpoints, MAX_CONDITIONS, endpointName, (some) => ({
      head: `SELECT id, ${ENDPOINT_COLUMNS.join(', ')} FROM ${this.#session.table('endpoints')} WHERE `,
      rows: some.map(
        ({ values }) => `(${ENDPOINT_COLUMNS.map((column, n) => `${column} = ${values[n]}`).join(' AND ')})`,
      ),
      tail: '',
      separator: ' OR ',
    }));

  readonly agents = (wanted: readonly Agent[]) =>
    this.#findOrAdd(
      wanted,
      addAgents,
      MAX_CONDITIONS,
      ({ string, digest }) => agentName(string!, digest!),
      (some) => ({
        head: `SELECT string, LOWER(HEX(digest)) AS digest, id FROM ${this.#session.table('agents')} WHERE `,
        rows: some.map(({ string, digest }) => `(string = ${string} AND digest = ${binary(digest)})`),
        tail: '',
        separator: ' OR ',
      }),
    );

  /**
   * Returns the IDs of rows by their names, and adds the missing rows.
   * @param most Number of rows to find per statement.
   * @param nameOf Returns the name of a row that was found.
   */
  async #findOrAdd<T extends NamedRow>(
    wanted: readonly T[],
    add: (table: Session['table'], missing: readonly T[]) => RowsStatement,
    most: number,
    nameOf: (row: Row) => string,
    find: (some: readonly T[]) => RowsStatement,
  ): Promise<Map<string, number>> {
    const ids = async (rows: readonly T[]) =>
      (await this.#find(most, rows, find)).map((row): [string, number] => [nameOf(row), Number(row.id)]);
    const found = new Map(await ids(wanted));
    const missing = wanted.filter(({ name }) => !found.has(name));
    if (missing.length === 0) return found;
    const packet = await this.packet();
    await this.#session.lease((query) => send(query, [add(this.#session.table, missing)], packet));
    return new Map([...found, ...(await ids(missing))]);
  }

  /** Finds the rows of many values, a fixed number of values per statement. */
  async #find<T>(
    most: number,
    wanted: readonly T[],
    statement: (some: readonly T[]) => RowsStatement,
  ): Promise<Row[]> {
    const packet = await this.packet();
    const statements: RowsStatement[] = [];
    for (let at = 0; at < wanted.length; at += most) statements.push(statement(wanted.slice(at, at + most)));
    return this.#session.lease((query) => send(query, statements, packet));
  }
}
