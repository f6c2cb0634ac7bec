/** Methods used of a `Db` of the driver `mongodb`, version 6 or newer. */
export interface MongoDbLike {
  /** Name of the database. */
  readonly databaseName: string;
  /** Returns a collection. Connects at the first operation. */
  collection(name: string, options?: object): object;
  /** Runs a command, such as `collStats`. */
  command(command: object): Promise<object>;
}

/** Methods used of a `MongoClient` of the driver `mongodb`, version 6 or newer. */
export interface MongoClientLike {
  /** Returns a database. Defaults to the one in the URL of the client. */
  db(name?: string): MongoDbLike;
}

/** Options that threads need to connect. */
export interface MongoOptions {
  url: string;
  database: string;
  collection: string;
  /** Name in messages. Contains no password. */
  label: string;
}
