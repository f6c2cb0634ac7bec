import type { Agent } from '../sql/agents.ts';
import { ENDPOINT_COLUMNS, type Endpoint } from '../sql/endpoints.ts';
import type { Text } from '../sql/texts.ts';
import { binary } from './literals.ts';
import { type RowsStatement, send } from './packets.ts';
import type { Row, Session } from './session.ts';
import { addAgents, addEndpoints, addTexts } from './statements.ts';

/** Longest IN list. For longer ones, MariaDB creates a temporary table first. */
const MAX_LIST_LENGTH = 900;
/** Maximum number of conditions that both servers still look up in the index one by one. */
const MAX_CONDITIONS = 200;

type AgentRow = { string: number; digest: string; id: number };
type EndpointRow = Endpoint & { id: number };

/** Looks up rows and adds the missing ones. The lookup comes first, because a failed insert uses up an ID. */
export class Lookups {
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

  async texts(wanted: readonly Text[]): Promise<{ hash: string; id: number }[]> {
    const found = await this.#findTexts(wanted);
    const known = new Set(found.map(({ hash }) => hash));
    const missing = wanted.filter(({ hash }) => !known.has(hash.toString('hex')));
    if (missing.length === 0) return found;
    await this.add(addTexts(this.#session.table, missing));
    return [...found, ...(await this.#findTexts(missing))];
  }

  async endpoints(wanted: readonly Endpoint[]): Promise<EndpointRow[]> {
    const found = await this.#findEndpoints(wanted);
    if (found.length === wanted.length) return found;
    const known = new Set(found.map(nameOf));
    const missing = wanted.filter((endpoint) => !known.has(nameOf(endpoint)));
    await this.add(addEndpoints(this.#session.table, missing));
    return [...found, ...(await this.#findEndpoints(missing))];
  }

  async agents(wanted: readonly Agent[]): Promise<AgentRow[]> {
    const found = await this.#findAgents(wanted);
    if (found.length === wanted.length) return found;
    const known = new Set(found.map(({ string, digest }) => `${string} ${digest}`));
    const missing = wanted.filter(({ string, digest }) => !known.has(`${string} ${digest.toString('hex')}`));
    await this.add(addAgents(this.#session.table, missing));
    return [...found, ...(await this.#findAgents(missing))];
  }

  async add(statement: RowsStatement): Promise<void> {
    const packet = await this.packet();
    await this.#session.lease((query) => send(query, [statement], packet));
  }

  async #findTexts(wanted: readonly Text[]): Promise<{ hash: string; id: number }[]> {
    const rows = await this.#find(MAX_LIST_LENGTH, wanted, (some) => ({
      head: `SELECT LOWER(HEX(hash)) AS hash, id FROM ${this.#session.table('strings')} WHERE hash IN (`,
      rows: some.map(({ hash }) => binary(hash)),
      tail: ')',
    }));
    return rows.map(({ hash, id }) => ({ hash: hash!, id: Number(id) }));
  }

  async #findAgents(wanted: readonly Agent[]): Promise<AgentRow[]> {
    const rows = await this.#find(MAX_CONDITIONS, wanted, (some) => ({
      head: `SELECT string, LOWER(HEX(digest)) AS digest, id FROM ${this.#session.table('agents')} WHERE `,
      rows: some.map(({ string, digest }) => `(string = ${string} AND digest = ${binary(digest)})`),
      tail: '',
      separator: ' OR ',
    }));
    return rows.map(({ string, digest, id }) => ({
      string: Number(string),
      digest: digest!,
      id: Number(id),
    }));
  }

  async #findEndpoints(wanted: readonly Endpoint[]): Promise<EndpointRow[]> {
    const rows = await this.#find(MAX_CONDITIONS, wanted, (some) => ({
      head: `SELECT id, server_name AS serverName, method, protocol, route, blueprint, credentials
        FROM ${this.#session.table('endpoints')} WHERE `,
      rows: some.map(
        ({ serverName, method, protocol, route, blueprint, credentials }) =>
          `(server_name = ${serverName} AND method = ${method} AND protocol = ${protocol} AND route = ${route}` +
          ` AND blueprint = ${blueprint} AND credentials = ${credentials})`,
      ),
      tail: '',
      separator: ' OR ',
    }));
    return rows.map((row) => {
      const values = Object.entries(row).map(([column, value]) => [column, Number(value)]);
      return Object.fromEntries(values) as EndpointRow;
    });
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

function nameOf(endpoint: Endpoint): string {
  return ENDPOINT_COLUMNS.map((column) => endpoint[column]).join(' ');
}
