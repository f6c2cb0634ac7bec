/** Location of the tables. */
export interface ClickhouseLocation {
  /** Name in messages. Contains no password. */
  label: string;
  /** Database name; `undefined` for the client's default. */
  database: string | undefined;
  cluster: string | undefined;
}

/** Options that threads need to open the database. */
export interface ClickhouseOptions extends ClickhouseLocation {
  /** HTTP URL, without the user. */
  url: string;
  username: string;
  password: string;
}
