declare const connection: unique symbol;
/** One client of the engine: its statements run one after the other, its settings are its own. */
export interface Connection {
  [connection]: true;
}

/** @param args As of `clickhouse local`. Every connection of a process must have the same directory. */
export function CreateConnection(directory: string, args: readonly string[]): Connection;
export function CloseConnection(connection: Connection): void;
export function QueryAsyncConnection(
  connection: Connection,
  query: string,
  format: string,
): Promise<{ bytes?: Uint8Array }>;
