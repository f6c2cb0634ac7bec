import { type Agent, agentName } from '../sql/agents.ts';
import { ENDPOINT_COLUMNS } from '../sql/columns.ts';
import type { CurrentSweep } from '../sql/current-sweep.ts';
import { type Endpoint, endpointName } from '../sql/endpoints.ts';
import type { NamedRow } from '../sql/row-ids.ts';
import type { LookUps } from '../sql/shared-rows.ts';
import type { SharedTable } from '../sql/sweeper.ts';
import type { Text } from '../sql/texts.ts';
import { binary } from './literals.ts';
import { type RowsStatement, send } from './packets.ts';
import type { Row, Session } from './session.ts';
import { addAgents, addEndpoints, addTexts, markSeen } from './statements.ts';

/** Longest IN list. For longer ones, MariaDB creates a temporary table first. */
const MAX_LIST_LENGTH = 900;
/** Maximum number of conditions that both servers still look up in the index one by one. */
const MAX_CONDITIONS = 200;

/** Looks up rows and adds the missing ones. The lookup comes first, because a failed insert uses up an ID. */
export class Lookups implements LookUps {
  readonly #session: Session;
  readonly #sweep: CurrentSweep;
  #packet: number | undefined;

  constructor(session: Session, sweep: CurrentSweep) {
    this.#session = session;
    this.#sweep = sweep;
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
      'strings',
      wanted,
      addTexts,
      MAX_LIST_LENGTH,
      ({ hash }) => hash!,
      (some) => ({
        head: `SELECT LOWER(HEX(hash)) AS hash, id, seen FROM ${this.#session.table('strings')} WHERE hash IN (`,
        rows: some.map(({ hash }) => binary(hash)),
        tail: ')',
      }),
    );

  readonly endpoints = (wanted: readonly Endpoint[]) =>
    this.#findOrAdd('endpoints', wanted, addEndpoints, MAX_CONDITIONS, endpointName, (some) => ({
      head: `SELECT id, seen, ${ENDPOINT_COLUMNS.join(', ')} FROM ${this.#session.table('endpoints')} WHERE `,
      rows: some.map(
        ({ values }) => `(${ENDPOINT_COLUMNS.map((column, n) => `${column} = ${values[n]}`).join(' AND ')})`,
      ),
      tail: '',
      separator: ' OR ',
    }));

  readonly agents = (wanted: readonly Agent[]) =>
    this.#findOrAdd(
      'agents',
      wanted,
      addAgents,
      MAX_CONDITIONS,
      ({ string, digest }) => agentName(string!, digest!),
      (some) => ({
        head: `SELECT string, LOWER(HEX(digest)) AS digest, id, seen FROM ${this.#session.table('agents')} WHERE `,
        rows: some.map(({ string, digest }) => `(string = ${string} AND digest = ${binary(digest)})`),
        tail: '',
        separator: ' OR ',
      }),
    );

  /**
   * Returns the IDs of rows by their names, and adds the missing rows. Rows that were last looked up before a sweep
   * began are marked, so that the sweep does not delete them.
   * @param most Number of rows to find per statement.
   * @param nameOf Returns the name of a row that was found.
   */
  async #findOrAdd<T extends NamedRow>(
    name: SharedTable,
    wanted: readonly T[],
    add: (table: Session['table'], missing: readonly T[], sweep: number) => RowsStatement,
    most: number,
    nameOf: (row: Row) => string,
    find: (some: readonly T[]) => RowsStatement,
  ): Promise<Map<string, number>> {
    const sweep = this.#sweep.number!;
    const { table } = this.#session;
    const known = new Map<string, number>();
    const findAll = async (rows: readonly T[]) => {
      const found = await this.#find(most, rows, find);
      for (const row of found) if (Number(row.seen) >= sweep) known.set(nameOf(row), Number(row.id));
      return found;
    };
    const found = await findAll(wanted);
    const others = wanted.filter((row) => !known.has(row.name));
    if (others.length === 0) return known;
    const names = new Set(found.map(nameOf));
    const missing = others.filter((row) => !names.has(row.name));
    const old = found.filter((row) => Number(row.seen) < sweep).map(({ id }) => Number(id));
    // In the order in which the sweep deletes rows, so that they cannot deadlock.
    old.sort((a, b) => a - b);
    const packet = await this.packet();
    const statements = [markSeen(table(name), old, sweep), add(table, missing, sweep)];
    await this.#session.lease((query) => send(query, statements, packet));
    await findAll(others);
    return known;
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
