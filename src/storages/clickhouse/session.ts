import type { EngineSession } from '../../storage/opening.ts';
import { type ClickhouseClient, Statements } from './client.ts';
import type { ClickhouseLocation } from './options.ts';
import { type Tables, tablesOf } from './table-names.ts';

/** A client and the tables that it is used for. */
export class Session implements EngineSession {
  readonly label: string;
  readonly location: ClickhouseLocation;
  readonly statements: Statements;
  readonly close: () => Promise<void>;
  #tables: Promise<Tables> | undefined;

  /** @param close Closes the client. Omitted for a client of the user's. */
  constructor(client: ClickhouseClient, location: ClickhouseLocation, close = async () => {}) {
    this.label = location.label;
    this.location = location;
    this.statements = new Statements(client);
    this.close = close;
  }

  /** Returns the tables. Only the server knows the default database of a client. */
  tables(): Promise<Tables> {
    this.#tables ??= tablesOf(this.statements, this.location);
    return this.#tables;
  }
}
