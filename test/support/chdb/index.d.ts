declare const connection: unique symbol;
/** A client of the engine, with separate settings. Its statements run sequentially. */
export interface Connection {
  [connection]: true;
}

/**
 * Creates a connection.
 * @param args Arguments of `clickhouse local`. Every connection of a process must use the same directory.
 */
export function CreateConnection(directory: string, args: readonly string[]): Connection;
export function CloseConnection(connection: Connection): void;
export function QueryAsyncConnection(
  connection: Connection,
  query: string,
  format: string,
): Promise<{ bytes?: Uint8Array }>;
