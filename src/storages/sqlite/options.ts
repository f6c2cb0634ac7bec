/** Options that threads need to open the database. */
export interface SqliteOptions {
  /** Absolute path of the database file. */
  path: string;
}
