import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe } from 'vitest';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { hasMongo, type MongoServer, mongoServer } from '../support/servers/mongo.ts';
import { replacedCases } from './replaced-database.ts';

let server: MongoServer;
beforeAll(async () => {
  if (hasMongo) server = await mongoServer();
});
afterAll(() => server?.close());

let databases = 0;
async function openDatabase() {
  const name = `dropped_${process.pid}_${++databases}`;
  const drop = async () => {
    await using client = new MongoClient(server.url(name));
    await client.db(name).dropDatabase();
  };
  return {
    storage: (hooks: string[]) => new MongoStorage(server.url(name), { hooks }),
    drop,
    remove: drop,
  };
}

describe.skipIf(!hasMongo)('MongoDB', () => replacedCases(openDatabase, false));
