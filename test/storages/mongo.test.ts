import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import { storageAt } from '../../src/storages/by-url.ts';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { HOSTILE_TEXTS } from '../../src/testing/hostile.ts';
import { type Subject, storageCases, type TestLocation } from '../../src/testing/index.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { clientCases } from '../support/client-cases.ts';
import { dumpContains } from '../support/mongo-dump.ts';
import { laterServer } from '../support/servers/later.ts';
import { hasMongo, type MongoServer, mongoServer } from '../support/servers/mongo.ts';

let mongo: MongoServer;
let databases = 0;
const newDatabaseName = () => `usage_${process.pid}_${++databases}`;

beforeAll(async () => {
  if (hasMongo) mongo = await mongoServer();
});
afterAll(() => mongo?.close());

async function drop(name: string): Promise<void> {
  await using client = new MongoClient(mongo.url(name));
  await client.db(name).dropDatabase();
}

/** The driver waits half a second before it looks again for a server to which the connection was lost. */
const QUICK = { minHeartbeatFrequencyMS: 10 };

/** Returns the URL of a database. @param port Port of a proxy, which loses connections. */
function urlAt(name: string, port?: number): string {
  if (port === undefined) return mongo.url(name);
  const url = mongo.url(name, port);
  return `${url}${url.includes('?') ? '&' : '?'}minHeartbeatFrequencyMS=${QUICK.minHeartbeatFrequencyMS}`;
}

/** Creates a location opened by URL, in the writer thread. */
async function urlLocation(): Promise<TestLocation> {
  const name = newDatabaseName();
  return {
    storage: (hooks, port) => new MongoStorage(urlAt(name, port), hooks ? { hooks } : {}),
    contains: (text) => dumpContains(mongo.url(name), text),
    remove: () => drop(name),
  };
}

/** Creates a location opened by a client object, in the app thread. */
async function clientLocation(): Promise<TestLocation> {
  const name = newDatabaseName();
  const clients = new Map<number | undefined, MongoClient>();
  return {
    storage(hooks, port) {
      const options = { serverSelectionTimeoutMS: 2_000, ...QUICK };
      const client = clients.get(port) ?? new MongoClient(mongo.url(name, port), options);
      clients.set(port, client);
      return new MongoStorage(client, { ...(hooks && { hooks }), database: name });
    },
    async remove() {
      for (const client of clients.values()) await client.close();
      await drop(name);
    },
  };
}

const server = laterServer(process.env.TEST_MONGO_URL, () => mongo.server!);
const SUBJECTS: Subject[] = [
  {
    name: 'URL, used in the writer thread',
    createLocation: urlLocation,
    // Each update of the test server takes almost a millisecond, and each query reads all documents.
    share: 0.1,
    ...(server && { server }),
  },
  {
    name: 'client object, used in the app thread',
    createLocation: clientLocation,
    ...(server && { server }),
  },
];

describe.skipIf(!hasMongo).each(SUBJECTS)('$name', (subject) => {
  // The test server is slow, so the largest batches are stored once.
  const isLarge = (name: string) => /^batches: (thousands|three)/.test(name);
  const cases =
    subject === SUBJECTS[0]
      ? storageCases(subject)
      : clientCases(subject).filter(({ name }) => !isLarge(name));
  test.each(cases)('$name', { timeout: 600_000 }, ({ run }) => run());
});

/** Creates a database, with a client and a function that opens storages in it. */
async function newDatabase() {
  const name = newDatabaseName();
  const client = new MongoClient(mongo.url(name));
  onTestFinished(async () => {
    await client.db(name).dropDatabase();
    await client.close();
  });
  const storage = (...hooks: string[]) => {
    const made = new MongoStorage(mongo.url(name), { hooks });
    onTestFinished(() => made.close());
    return made;
  };
  return { name, client, db: client.db(name), storage };
}

describe.skipIf(!hasMongo)('documents', () => {
  test('are readable in a shell', async () => {
    const { db, storage } = await newDatabase();
    const urls = storage('urls', 'referrers');
    const writer = await openWriter(urls);
    const extra = { vars: { plan: 'gold' }, routeParams: { id: '7' } };
    await writer.apply(
      new TestJournal('a', urls.summaries).batch([{ url: 'http://localhost/a', country: 'AT', extra }, {}]),
    );
    await writer.close();
    const [record] = await db.collection('usageTracking').find({ 'vars.plan': 'gold' }).toArray();
    expect(record).toEqual({
      _id: expect.stringMatching(/^[0-9a-f]{28}$/),
      date: new Date(NOON),
      site: 'default',
      server_name: 'default',
      method: 'GET',
      url: 'http://localhost/a',
      protocol: 'HTTP/1.1',
      country: 'AT',
      status: 200,
      content_length: 5,
      duration: 1_500,
      authorization: false,
      bot: false,
      vars: { plan: 'gold' },
      route_params: { id: '7' },
    });
    const sums = db.collection('usageTracking_urls_hourly');
    expect(await sums.findOne({ key: 'http://localhost/a' })).toEqual({
      _id: expect.stringMatching(/^1795521600-[\w-]{22}$/),
      site: 'default',
      date: new Date('2026-11-24T12:00:00Z'),
      key: 'http://localhost/a',
      hits: 1,
      transfer: 5,
      errors: 0,
      duration: 1_500,
      applied: { s0: 128 },
    });
    expect(await db.collection('usageTracking_referrers_monthly').findOne({ none: true })).toMatchObject({
      hits: 2,
      date: new Date('2026-11-01T00:00:00Z'),
    });
    const names = (await db.listCollections().toArray()).map(({ name }) => name).sort();
    expect(names).toEqual([
      'usageTracking',
      'usageTracking_coverage_daily',
      'usageTracking_coverage_hourly',
      'usageTracking_coverage_monthly',
      'usageTracking_journals',
      'usageTracking_key_counts',
      'usageTracking_referrers_daily',
      'usageTracking_referrers_hourly',
      'usageTracking_referrers_monthly',
      'usageTracking_schema',
      'usageTracking_sites',
      'usageTracking_slots',
      'usageTracking_urls_daily',
      'usageTracking_urls_hourly',
      'usageTracking_urls_monthly',
    ]);
  });

  test('store values that BSON cannot hold as text', async () => {
    const { storage } = await newDatabase();
    const urls = storage('urls');
    const writer = await openWriter(urls);
    const all: Record<string, unknown>[] = [
      { 'a.b': 1 },
      { $set: { a: 1 } },
      { '': 1 },
      { '\0': '\0' },
      { deep: { list: [[1], { $x: 1 }] } },
      { _bsontype: 'ObjectId', id: 'x' },
      JSON.parse('{"__proto__":{"a":1}}'),
      { toBSON: 'x' },
      { text: '\0' },
      { a: 1.5, b: -(2 ** 40), c: [null, true, { d: '' }], 7: 'seven' },
    ];
    const records = all.map((vars, n) => ({ date: NOON + n, extra: { vars } }));
    await writer.apply(new TestJournal('a', urls.summaries).batch(records));
    await writer.close();
    const read = (await urls.getUsage()).reverse().map(({ vars }) => JSON.stringify(vars));
    expect(read).toEqual(all.map((vars) => JSON.stringify(vars)));
  });
});

describe.skipIf(!hasMongo)('a repeated batch', () => {
  test('is stored once if a part of it was stored before, even without a note that it was started', async () => {
    const { db, storage } = await newDatabase();
    const urls = storage('urls');
    const writer = await openWriter(urls);
    const journal = new TestJournal('a', urls.summaries);
    const journals = db.collection<{ _id: string }>('usageTracking_journals');
    const url = (n: number) => ({ url: `http://localhost/${n}` });
    await writer.apply(journal.batch([url(0), url(1)]));
    const second = journal.batch([url(1), url(1), url(2), url(3)]);
    await writer.apply(second);
    const expected = await rows(urls, 'urls', 'hour');
    for (const isPending of [true, false]) {
      // The state of a server that did not receive the last message, and lost some of the others.
      const incomplete = {
        position: second.from.position,
        ...(isPending && { pending: second.to.position }),
      };
      await journals.updateOne({ _id: journal.id }, { $set: incomplete });
      await db.collection('usageTracking_urls_hourly').deleteOne({ key: 'http://localhost/3' });
      expect(await writer.apply(second)).toBe(true);
      expect(await rows(urls, 'urls', 'hour')).toEqual(expected);
      expect((await urls.getUsage()).length).toBe(6);
    }
    await writer.close();
  });
});

describe.skipIf(!hasMongo)('slots', () => {
  test('are reused after a journal is deleted, so marks do not accumulate', async () => {
    const { db, storage } = await newDatabase();
    const urls = storage('urls');
    const writer = await openWriter(urls);
    for (const id of ['a', 'b', 'c', 'd']) {
      const journal = new TestJournal(id, urls.summaries);
      for (let n = 0; n < 3; n++) expect(await writer.apply(journal.batch([{}, {}]))).toBe(true);
      await writer.forget(journal.id);
      await writer.forget(journal.id);
    }
    await writer.close();
    const [sum] = await db.collection('usageTracking_urls_monthly').find().toArray();
    expect(sum).toMatchObject({ hits: 24, applied: { s0: 4 * 3 * 128 } });
    expect(await db.collection('usageTracking_slots').find().toArray()).toEqual([
      { _id: 0, journal: null, base: 4 * 3 * 128 },
    ]);
  });

  test('are taken from an idle journal, which later gets another; not from one with a pending batch', async () => {
    const { db, storage } = await newDatabase();
    const urls = storage('urls');
    const writer = await openWriter(urls);
    const journals = db.collection<{ _id: string }>('usageTracking_journals');
    const yesterday = { date: new Date(Date.now() - 25 * 3_600_000) };
    const [idle, stuck, third] = ['a', 'b', 'c'].map((id) => new TestJournal(id, urls.summaries));
    await writer.apply(idle!.batch([{}]));
    await writer.apply(stuck!.batch([{}]));
    await journals.updateOne({ _id: idle!.id }, { $set: yesterday });
    await journals.updateOne({ _id: stuck!.id }, { $set: { ...yesterday, pending: 128 } });
    await writer.apply(third!.batch([{}]));
    expect(await journals.findOne({ _id: third!.id })).toMatchObject({ slot: 0, base: 64 });
    expect((await writer.position(idle!.id))?.position).toBe(64);
    expect(await writer.apply(idle!.batch([{}]))).toBe(true);
    expect(await journals.findOne({ _id: idle!.id })).toMatchObject({ slot: 2, position: 128 });
    expect(await writer.apply(stuck!.batch([{}]))).toBe(true);
    expect(await rows(urls, 'urls', 'month')).toEqual([['http://localhost/', 5, 25, 0, 7_500]]);
    await writer.close();
  });
});

describe.skipIf(!hasMongo)('copy', () => {
  test('copies from SQLite and back', { timeout: 120_000 }, async () => {
    const { storage } = await newDatabase();
    const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const sqlite = (name: string) => {
      const made = new SqliteStorage(join(directory, name), { hooks: ['urls', 'referrers'] });
      onTestFinished(() => made.close());
      return made;
    };
    const from = sqlite('a.db');
    const writer = await openWriter(from);
    const journal = new TestJournal('a', from.summaries);
    await writer.apply(
      journal.batch(
        HOSTILE_TEXTS.map((text, n) => ({
          url: text,
          referrer: n % 2 ? null : text,
          date: NOON - n * 1_000_000,
          extra: { vars: { [text]: text }, keys: { plans: [text] } },
        })),
      ),
    );
    await writer.close();
    const to = storage('urls', 'referrers');
    const copied = await copy({ from, to, site: 'default' });
    expect(copied.records).toBe(HOSTILE_TEXTS.length);
    expect(await copy({ from: to, to: sqlite('b.db'), site: 'default' })).toEqual(copied);
  });
});

describe.skipIf(!hasMongo)('a client object', () => {
  test('can be a Db with custom options, and is not closed', async () => {
    const { name } = await newDatabase();
    await using client = new MongoClient(mongo.url(name), {
      promoteValues: false,
      promoteLongs: false,
      ignoreUndefined: true,
      readPreference: 'secondaryPreferred',
    });
    const db = client.db(name);
    const storage = new MongoStorage(db, { hooks: ['urls'], collection: 'visits' });
    const writer = await openWriter(storage);
    const records = [{ contentLength: 2 ** 52, duration: 2 ** 40 }, {}];
    expect(await writer.apply(new TestJournal('a', storage.summaries).batch(records))).toBe(true);
    await writer.close();
    const [row] = await storage.getSum('urls', { period: 'day' });
    expect(row).toMatchObject({ hits: 2, transfer: 2 ** 52 + 5, duration: 2 ** 40 + 1_500 });
    expect(await storage.getUsage()).toMatchObject([{ contentLength: 5 }, { contentLength: 2 ** 52 }]);
    await storage.close();
    expect((await db.collection('visits').find().toArray()).length).toBe(2);
    expect(storage.label).toBe(`${mongo.url(name)}.visits`);
    expect(() => new MongoStorage(db, { database: 'other' })).toThrow('"MongoStorage.database" is "other"');
  });
});

describe.skipIf(!hasMongo)('another schema', () => {
  test('is neither read nor written', async () => {
    const { db, storage } = await newDatabase();
    const urls = storage('urls');
    await expect(urls.reader.timeZone('default')).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    await (await openWriter(urls)).close();
    expect(await urls.reader.timeZone('default')).toBe('UTC');
    const schema = db.collection<{ _id: string }>('usageTracking_schema');
    const set = (version: number) => schema.updateOne({ _id: 'version' }, { $set: { version } });
    await set(3);
    await expect(openWriter(urls)).rejects.toMatchObject({ code: 'STORAGE_NEWER' });
    await expect(storage('urls').getUsage()).rejects.toMatchObject({ code: 'STORAGE_NEWER' });
    await set(1);
    await expect(storage('urls').getUsage()).rejects.toMatchObject({ code: 'STORAGE_OLDER' });
  });
});

describe.skipIf(!hasMongo)('a collection of Flask-Track-Usage', () => {
  test('is neither read nor changed, and another collection in the same database can be used', async () => {
    const { db, name, storage } = await newDatabase();
    const foreign = db.collection('usageTracking');
    await foreign.insertOne({ website: 'default', url: 'http://localhost/', status: 200 });
    const urls = storage('urls');
    await expect(openWriter(urls)).rejects.toMatchObject({ code: 'STORAGE_FOREIGN' });
    await expect(urls.reader.timeZone('default')).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    expect((await db.listCollections().toArray()).map((each) => each.name)).toEqual(['usageTracking']);
    const other = new MongoStorage(mongo.url(name), { hooks: ['urls'], collection: 'usage' });
    await (await openWriter(other)).close();
    expect(await other.getUsage()).toEqual([]);
    await other.close();
    expect(await foreign.countDocuments()).toBe(1);
  });
});

describe('constructor arguments', () => {
  test('are validated, and the password is never shown', async () => {
    for (const server of [
      'postgres://jane:p4ss@localhost/usage',
      'mongodb://jane:p4ss@',
      'mongodb://jane:p4ss@localhost/a%20b',
      'mongodb://jane:p4/ss@localhost/usage',
      { password: 'p4ss' },
      undefined,
    ]) {
      const make = () => new MongoStorage(server as string);
      expect(make).toThrow('option "server" is ');
      expect(make).not.toThrow('p4');
    }
    expect(() => new MongoStorage('mongodb://localhost', { database: 'a/b' })).toThrow('"a/b"');
    expect(() => new MongoStorage('mongodb://localhost', { collection: '$x' })).toThrow('"$x"');
    expect(() => new MongoStorage('mongodb://localhost', { colection: 'x' } as object)).toThrow('colection');
    const labels = ['localhost', 'jane:p4ss@a:1,b:2/?replicaSet=x', 'jane:p4ss@a/shop?authSource=admin'].map(
      (rest) => new MongoStorage(`mongodb://${rest}`).label,
    );
    expect(labels).toEqual([
      'mongodb://localhost/usage.usageTracking',
      'mongodb://a:1,b:2/usage.usageTracking',
      'mongodb://a/shop.usageTracking',
    ]);
    expect((await storageAt('mongodb+srv://jane:p4ss@cluster/shop').open()).label).toBe(
      'mongodb://cluster/shop.usageTracking',
    );
  });

  test('appear in connection errors without the password', async () => {
    for (const url of [
      // Nothing listens on this port.
      'mongodb://jane:p4ss@127.0.0.1:1/usage?serverSelectionTimeoutMS=50',
      'mongodb://jane:p4ss@127.0.0.1:1/usage?noSuchOption=1',
      'mongodb://jane:p4ss@127.0.0.1:x/usage',
    ]) {
      const storage = new MongoStorage(url);
      const error = await openWriter(storage).then(
        () => undefined,
        (reason: Error) => reason,
      );
      expect(error).toBeInstanceOf(Error);
      expect(`${error!.stack} ${error!.message} ${String(error!.cause)}`).not.toContain('p4ss');
    }
  });
});
