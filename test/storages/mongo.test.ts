import { MongoClient } from 'mongodb';
import { afterAll, describe, it } from 'vitest';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { type Subject, storageCases, type TestPlace } from '../../src/testing/index.ts';
import { mongoServer } from '../support/servers/mongo.ts';

const mongo = await mongoServer();
let places = 0;

function database(): string {
  places += 1;
  return `usage_${process.pid}_${places}`;
}

async function drop(name: string): Promise<void> {
  const client = new MongoClient(mongo.url(name));
  await client.db(name).dropDatabase();
  await client.close();
}

/** Given as it is, a URL is used in the writer's thread; a client of the user's in the app. */
async function placeOfUrl(): Promise<TestPlace> {
  const name = database();
  return {
    storage: (hooks, port) => new MongoStorage(mongo.url(name, port), hooks ? { hooks } : {}),
    remove: () => drop(name),
  };
}

async function placeOfClient(): Promise<TestPlace> {
  const name = database();
  const clients = new Map<number | undefined, MongoClient>();
  return {
    storage(hooks, port) {
      const client =
        clients.get(port) ?? new MongoClient(mongo.url(name, port), { serverSelectionTimeoutMS: 2_000 });
      clients.set(port, client);
      return new MongoStorage(client, { ...(hooks && { hooks }), database: name });
    },
    async remove() {
      for (const client of clients.values()) await client.close();
      await drop(name);
    },
  };
}

const server = mongo.server && { server: mongo.server };
const subjects: Subject[] = [
  { name: 'a URL, in the thread', place: placeOfUrl, ...server },
  { name: 'a client of the user’s, in the app', place: placeOfClient, ...server },
];

afterAll(() => mongo.close());

describe.each(subjects)('$name', (subject) => {
  it.each(storageCases(subject))('$name', { timeout: 300_000 }, ({ run }) => run());
});
