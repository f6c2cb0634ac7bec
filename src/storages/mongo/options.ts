/** Methods used of a `Db` of the driver `mongodb`, version 6 or newer. */
export interface MongoDbLike {
  readonly databaseName: string;
  collection(name: string, options?: object): object;
}

/** Methods used of a `MongoClient` of the driver `mongodb`, version 6 or newer. */
export interface MongoClientLike {
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
