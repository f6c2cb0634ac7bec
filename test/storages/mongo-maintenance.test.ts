import { type Collection, type Db, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { monotonicClock, wallClock } from '../../src/platform/clock.ts';
import type { DeltaRow } from '../../src/storage/batch-rows.ts';
import type {
  Batch,
  MaxKeys,
  RecountRequest,
  StorageWriter,
  WriterContext,
} from '../../src/storage/contract.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { Collections } from '../../src/storages/mongo/collections.ts';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { recountBetweenBatches } from '../../src/storages/mongo/recount.ts';
import { PERIODS } from '../../src/summaries/periods.ts';
import { NOON, TestJournal } from '../../src/testing/batches.ts';
import { openWriter, put, rows } from '../../src/testing/support.ts';
import { killedRebuildCase } from '../maintenance/killed-rebuild-case.ts';
import { hasMongo, type MongoServer, mongoServer } from '../support/servers/mongo.ts';

let mongo: MongoServer;
let client: MongoClient;
let databases = 0;

beforeAll(async () => {
  if (!hasMongo) return;
  mongo = await mongoServer();
  client = new MongoClient(mongo.url('admin'));
});
afterAll(async () => {
  await client?.close();
  await mongo?.close();
});

const WRITES = [
  'insertMany',
  'insertOne',
  'bulkWrite',
  'updateOne',
  'findOneAndUpdate',
  'deleteOne',
  'deleteMany',
];
/** Called before or after each writing call of the storage. */
type Interception = (collection: string, method: string, when: 'before' | 'after') => void | Promise<void>;

/** Returns a database whose writing calls can be delayed, or fail before or after the server executes them. */
function intercepted(db: Db, intercept: Interception): Db {
  const collection = (...given: Parameters<Db['collection']>): Collection => {
    const original = db.collection(...given);
    return new Proxy(original, {
      get(target, name: string) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (!WRITES.includes(name)) return value.bind(target);
        return async (...parameters: unknown[]) => {
          const suffix = target.collectionName.replace('usageTracking', '');
          await intercept(suffix, name, 'before');
          const result = await value.apply(target, parameters);
          await intercept(suffix, name, 'after');
          return result;
        };
      },
    });
  };
  return {
    databaseName: db.databaseName,
    collection,
    command: (command: object) => db.command(command),
  } as never;
}

async function newDatabase(...hooks: string[]) {
  const db = client.db(`maintenance_${process.pid}_${++databases}`);
  onTestFinished(async () => {
    await db.dropDatabase();
  });
  const storage = new MongoStorage(db, { hooks });
  onTestFinished(() => storage.close());
  return {
    db,
    storage,
    open: (context: Partial<WriterContext> = {}, intercept?: Interception) =>
      openWriter(intercept ? new MongoStorage(intercepted(db, intercept), { hooks }) : storage, context),
    sums: () => db.collection<{ _id: string; key: string | null }>('usageTracking_urls_hourly'),
    emptied: () => db.collection('usageTracking_emptied').countDocuments(),
  };
}

const limits = (max: number): MaxKeys => ({ all: { hour: max, day: max, month: max }, summaries: {} });
const urls = (...of: string[]) => of.map((url) => ({ url }));
const HOUR = Date.UTC(2026, 10, 24, 12);
const START = { hour: HOUR, day: Date.UTC(2026, 10, 24), month: Date.UTC(2026, 10, 1) };
const REQUEST: RecountRequest = {
  site: 'default',
  summary: { name: 'urls', title: 'sumUrls', column: 'url' },
  period: 'hour',
  from: HOUR,
  to: HOUR + 3_600_000 - 1,
};

/** Returns corrections of all periods. */
function corrections(...changes: [key: string, hits: number][]): DeltaRow[] {
  return changes.flatMap(([key, hits]) =>
    PERIODS.map((period) => {
      const measures = { hits, transfer: 5 * hits, errors: 0, duration: 1_500 * hits };
      return { summary: 'urls', period, bucket: START[period], key, ...measures };
    }),
  );
}

const less = (...keys: string[]) => corrections(...keys.map((key): [string, number] => [key, -1]));

const failing = (...step: [collection: string, method: string, when: 'before' | 'after']): Interception => {
  return (...given) => {
    if (step.every((part, n) => part === given[n])) throw new Error('killed');
  };
};

describe.skipIf(!hasMongo)('key budget', () => {
  test('is exceeded at most by the new keys of batches in progress at the same time', async () => {
    const { storage, open } = await newDatabase('urls');
    const writers = [await open({ maxKeys: limits(5) }), await open({ maxKeys: limits(5) })];
    const journals = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
    const add = (n: number, ...keys: string[]) => put(writers[n]!, journals[n]!.batch(urls(...keys)));
    await add(0, '1');
    // Both see one key. Each has room for four more.
    const batches = [
      journals[0]!.batch(urls('2', '3', '4', '5', '6')),
      journals[1]!.batch(urls('7', '8', '9')),
    ];
    const admitted = await Promise.all(writers.map((writer, n) => writer.admit!(batches[n]!)));
    await Promise.all(writers.map((writer, n) => writer.apply(admitted[n]!)));
    await add(1, 'a', '7');
    await add(0, 'b', '1');
    const expected = [['', 3], ['1', 2], ['7', 2], ...['2', '3', '4', '5', '8', '9'].map((key) => [key, 1])];
    for (const period of PERIODS) {
      const found = await rows(storage, 'urls', period);
      expect(found.map(([key, hits]) => [key, hits])).toEqual(expected);
    }
    for (const writer of writers) await writer.close();
  });

  test('reads one small collection while there is room for all keys, and counts a bucket once', async () => {
    const { db, storage, open } = await newDatabase('urls');
    const writer = await open({ maxKeys: limits(50) });
    const journal = new TestJournal('a', storage.summaries);
    for (let n = 0; n < 4; n++) await put(writer, journal.batch(urls(`${n}`, `${n + 1}`, 'same')));
    const counts = await db.collection('usageTracking_key_counts').find({ period: 'day' }).toArray();
    // Counted before the first batch. `created` changes in the same step as the sums.
    expect(counts).toMatchObject([
      { site: 'default', summary: 'urls', date: new Date(START.day), created: 6, base: 0, checked: 0 },
    ]);
    await writer.maintenance!.prune({ part: 'day', before: START.day + 1, limit: 100 });
    expect(await writer.maintenance!.prune({ part: 'day', before: START.day + 1, limit: 100 })).toBe(0);
    expect(await db.collection('usageTracking_key_counts').distinct('period')).toEqual(['hour', 'month']);
    await writer.close();
  });

  test('counts the keys of a batch whose process was killed before it added their number', async () => {
    const { storage, open } = await newDatabase('urls');
    const maxKeys = limits(4);
    const writer = await open({ maxKeys });
    const dying = await open({ maxKeys }, failing('_key_counts', 'bulkWrite', 'before'));
    const journal = new TestJournal('a', storage.summaries);
    await put(writer, journal.batch(urls('1')));
    const batch = await dying.admit!(journal.batch(urls('2', '3')));
    await expect(dying.apply(batch)).rejects.toThrow('killed');
    expect(await writer.apply(batch)).toBe(true);
    await put(writer, journal.batch(urls('4', '5')));
    const found = await rows(storage, 'urls');
    expect(found.map(([key]) => key)).toEqual(['', '1', '2', '3', '4']);
    for (const each of [dying, writer]) await each.close();
  });

  test('counts the keys that a database of version 1 has', async () => {
    const { db, storage, open } = await newDatabase('urls');
    const old = await open();
    const journal = new TestJournal('a', storage.summaries);
    await put(old, journal.batch(urls('1', '2', '3')));
    await old.close();
    await db.dropCollection('usageTracking_key_counts');
    const schema = db.collection<{ _id: string }>('usageTracking_schema');
    await schema.updateOne({ _id: 'version' }, { $set: { version: 1 } });
    const writer = await open({ maxKeys: limits(4) });
    expect(await schema.findOne({ _id: 'version' })).toMatchObject({ version: 2 });
    await put(writer, journal.batch(urls('4', '5', '2')));
    await writer.close();
    expect((await rows(storage, 'urls')).map(([key, hits]) => [key, hits])).toEqual([
      ['2', 2],
      ['', 1],
      ['1', 1],
      ['3', 1],
      ['4', 1],
    ]);
  });
});

describe.skipIf(!hasMongo)('a process killed between two steps of a batch', () => {
  test('leaves the same sums, keys and budget as one that is not', { timeout: 120_000 }, async () => {
    const { storage, open, sums, emptied } = await newDatabase('urls');
    const memory = new MemoryStorage({ hooks: ['urls'] });
    const maxKeys = limits(12);
    const wanted = await openWriter(memory, { maxKeys });
    const journal = new TestJournal('a', storage.summaries);
    let steps = 0;
    for (let n = 0; ; n++) {
      // Every batch removes a key that the one before has added.
      const keys = [`${n}`, `${n + 1}`, 'same'];
      const batch = n % 2 === 0 ? journal.batch(urls(...keys)) : journal.correction(less(`${n - 1}`, 'same'));
      let step = Number.NEGATIVE_INFINITY;
      const dying = await open({ maxKeys }, () => {
        if (step++ === n) throw new Error('killed');
      });
      step = 0;
      // Saved between the two, and repeated unchanged.
      let admitted: Batch | undefined;
      const isKilled = await (async () => {
        admitted = await dying.admit!(batch);
        await dying.apply(admitted);
      })().then(
        () => false,
        () => true,
      );
      await dying.close();
      steps = step;
      const next = await open({ maxKeys });
      const { position } = (await next.position(journal.id)) ?? { position: 0 };
      if (position !== batch.to.position) {
        expect(await next.apply(admitted ?? (await next.admit!(batch)))).toBe(true);
      }
      await next.maintenance!.sweep();
      await next.close();
      await wanted.apply(batch);
      for (const period of PERIODS) {
        expect(await rows(storage, 'urls', period)).toEqual(await rows(memory, 'urls', period));
      }
      expect(await sums().countDocuments({ hits: { $lte: 0 } })).toBe(0);
      expect(await emptied()).toBe(0);
      if (!isKilled) break;
    }
    expect(steps).toBeGreaterThan(15);
  });
});

describe.skipIf(!hasMongo)('a process killed while it moves sums to another key', () => {
  test('leaves a batch that is completed when its journal is removed', { timeout: 60_000 }, async () => {
    const { db, storage, open } = await newDatabase('urls');
    const writer = await open();
    await put(writer, new TestJournal('a', storage.summaries).batch(urls('a', 'a', 'b')));
    let isStored = false;
    for (let n = 0; !isStored; n++) {
      let step = Number.NEGATIVE_INFINITY;
      const dying = await open({}, () => {
        if (step++ === n) throw new Error('killed');
      });
      step = 0;
      const journal = new TestJournal(`move ${n}`, storage.summaries);
      const move = corrections(['a', -2], ['', 2]);
      isStored = await dying.apply(journal.correction(move)).catch(() => false);
      await dying.close();
      await writer.forget(journal.id);
      const found = await rows(storage, 'urls', 'month');
      const isMoved = found[0]![0] === '';
      for (const period of PERIODS) expect(await rows(storage, 'urls', period)).toEqual(found);
      expect(found).toEqual([
        [isMoved ? '' : 'a', 2, 10, 0, 3_000],
        ['b', 1, 5, 0, 1_500],
      ]);
      expect(await db.collection('usageTracking_corrections').countDocuments()).toBe(0);
      // Back again.
      if (isMoved) {
        const back = new TestJournal(`back ${n}`, storage.summaries);
        await put(writer, back.correction(corrections(['a', 2], ['', -2])));
      }
    }
    await writer.close();
  });

  test('and journals without sums do not raise the marks of their slot', async () => {
    const { db, storage, open } = await newDatabase('urls');
    const writer = await open();
    for (const id of ['a', 'b']) {
      const empty = { ...new TestJournal(id, []).correction([]), to: { position: 2 ** 40, ordinal: 0 } };
      expect(await writer.apply(empty)).toBe(true);
      await writer.forget(empty.journal);
    }
    await put(writer, new TestJournal('c', storage.summaries).batch(urls('a')));
    await writer.forget(new TestJournal('c', []).id);
    expect(await db.collection('usageTracking_slots').find().toArray()).toEqual([
      { _id: 0, journal: null, base: 64 },
    ]);
    await writer.close();
  });
});

describe.skipIf(!hasMongo)('a sum without hits', () => {
  test('stays while a batch in progress is in it, and is deleted afterward', async () => {
    const { storage, open, sums, emptied } = await newDatabase('urls');
    const journal = new TestJournal('a', storage.summaries);
    const dying = await open({}, failing('_journals', 'updateOne', 'before'));
    const writer = await open();
    await put(writer, journal.batch(urls('a', 'b')));
    const correction = journal.correction(less('a'));
    await expect(dying.apply(correction)).rejects.toThrow('killed');
    const { sweep } = maintenanceOf(writer);
    expect(await sweep()).toBe(false);
    expect(await sums().findOne({ key: 'a' })).toMatchObject({ hits: 0 });
    expect((await rows(storage, 'urls', 'hour')).map(([key]) => key)).toEqual(['b']);
    expect(await writer.apply(correction)).toBe(true);
    expect(await sums().findOne({ key: 'a' })).toBeNull();
    expect(await emptied()).toBe(0);
    await put(writer, journal.batch(urls('a')));
    expect((await rows(storage, 'urls', 'hour')).map(([key, hits]) => [key, hits])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    for (const each of [dying, writer]) await each.close();
  });

  test('stays if a batch changes it while it is being deleted', async () => {
    const { storage, open, sums } = await newDatabase('urls');
    const [a, b] = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
    const other = await open();
    let isDone = false;
    // Between reading the sum and deleting it.
    const writer = await open({}, async (collection, method, when) => {
      const isDeletion = collection === '_urls_hourly' && method === 'bulkWrite' && when === 'before';
      if (!isDeletion || isDone || (await sums().countDocuments({ key: 'a', hits: 0 })) === 0) return;
      isDone = true;
      await other.apply(b!.batch(urls('a')));
      // Again without hits, but with a batch that is not complete.
      await expect(dying.apply(b!.correction(less('a')))).rejects.toThrow('killed');
    });
    const dying = await open({}, failing('_journals', 'updateOne', 'before'));
    await put(writer, a!.batch(urls('a')));
    await put(writer, a!.correction(less('a')));
    expect(isDone).toBe(true);
    expect(await sums().findOne({ key: 'a' })).toMatchObject({ hits: 0 });
    for (const each of [dying, writer, other]) await each.close();
  });

  test('is created again if it is deleted while a repeated batch is added', async () => {
    const { storage, open, sums } = await newDatabase('urls');
    const journal = new TestJournal('a', storage.summaries);
    const batch = journal.batch(urls('a', 'b'));
    const dying = await open({}, failing('', 'insertMany', 'after'));
    await expect(dying.apply(batch)).rejects.toThrow('killed');
    let deletions = 0;
    const writer = await open({}, async (collection, method, when) => {
      if (collection !== '_urls_hourly' || method !== 'bulkWrite' || when !== 'before' || deletions > 0)
        return;
      deletions += (await sums().deleteMany({ hits: 0 })).deletedCount;
    });
    expect(await writer.apply(batch)).toBe(true);
    expect(deletions).toBe(2);
    for (const period of PERIODS) expect(await rows(storage, 'urls', period)).toHaveLength(2);
    expect((await sums().find().toArray()).map(({ key }) => key).sort()).toEqual(['a', 'b']);
    for (const each of [dying, writer]) await each.close();
  });
});

const maintenanceOf = (writer: StorageWriter) => {
  const { maintenance } = writer;
  return { sweep: () => maintenance!.sweep(), maintenance: maintenance! };
};

describe.skipIf(!hasMongo)('pruning', () => {
  test('beside a writer of the same hours deletes nothing else', async () => {
    const { storage, open } = await newDatabase('urls', 'referrers');
    const [pruner, writer] = [await open(), await open()];
    const [a, b] = ['a', 'b'].map((id) => new TestJournal(id, storage.summaries));
    const record = (n: number) => ({ url: `${n % 7}`, date: NOON - (n % 5) * 3_600_000 * 12 });
    await put(pruner, a!.batch(Array.from({ length: 60 }, (_, n) => record(n))));
    const before = START.day;
    const prune = async (most: number) => {
      for (const part of ['records', 'hour'] as const) {
        let deleted: number;
        do {
          deleted = await pruner.maintenance!.prune({ part, before, limit: 3 });
          expect(deleted).toBeLessThanOrEqual(most);
        } while (deleted > 0);
      }
    };
    const writing = async () => {
      for (let n = 0; n < 8; n++) {
        await put(writer, b!.batch(Array.from({ length: 20 }, (_, i) => record(i + n))));
      }
    };
    // A step also deletes what arrives in its range meanwhile.
    await Promise.all([prune(Number.POSITIVE_INFINITY), writing()]);
    await put(writer, b!.batch(Array.from({ length: 20 }, (_, n) => record(n))));
    await prune(3);
    const all = (await rows(storage, 'urls', 'month')).reduce((sum, [, hits]) => sum + (hits as number), 0);
    expect(all).toBe(60 + 9 * 20);
    const kept = await storage.getSum('urls', {
      period: 'hour',
      limit: 0,
      from: '2026-11-01',
      to: '2026-11-30',
    });
    expect(kept.every(({ date }) => Date.parse(date) >= before)).toBe(true);
    const records = await storage.getUsage({ limit: 0 });
    expect(records).toHaveLength(kept.reduce((sum, { hits }) => sum + hits, 0));
    for (const each of [pruner, writer]) await each.close();
  });
});

describe.skipIf(!hasMongo)('a lease', () => {
  test('ends by the clock of the server', async () => {
    const { open } = await newDatabase('urls');
    const [a, b] = [await open(), await open()];
    const request = { task: 'prune', ms: 60_000 };
    expect(await a.maintenance!.lease({ ...request, holder: 'a' })).toBe(true);
    const clock = vi.spyOn(wallClock, 'now').mockReturnValue(Date.now() + 3_600_000);
    onTestFinished(() => clock.mockRestore());
    expect(await b.maintenance!.lease({ ...request, holder: 'b' })).toBe(false);
    for (const each of [a, b]) await each.close();
  });
});

describe.skipIf(!hasMongo)('a change of the time zone', () => {
  test('is refused while a batch of the site remains in progress, which can then be completed', async () => {
    const { storage, open } = await newDatabase('urls');
    let isKilled = true;
    const app = await open({}, (_, method, when) => {
      if (isKilled && method === 'bulkWrite' && when === 'before') throw new Error('killed');
    });
    const writer = await open();
    onTestFinished(async () => {
      await app.close();
      await writer.close();
    });
    const batch = new TestJournal('a', storage.summaries).batch([{}]);
    await expect(put(app, batch)).rejects.toThrow('killed');
    const { now } = monotonicClock;
    onTestFinished(() => {
      monotonicClock.now = now;
    });
    let passed = 0;
    monotonicClock.now = () => {
      passed += 6_000;
      return now() + passed;
    };
    const maintenance = writer.maintenance!;
    const change = { from: 'UTC', to: 'Europe/Berlin' };
    await expect(maintenance.setTimeZone(change)).rejects.toMatchObject({ code: 'TIME_ZONE_BUSY' });
    expect(await storage.reader.timeZone('default')).toBe('UTC');
    isKilled = false;
    expect(await put(app, batch)).toBe(true);
    expect(await maintenance.setTimeZone(change)).toBe(true);
  });
});

describe.skipIf(!hasMongo)('a recount', () => {
  test('leaves out the records of a batch in progress', async () => {
    const { storage, open } = await newDatabase('urls');
    const journal = new TestJournal('a', storage.summaries);
    const writer = await open();
    await put(writer, journal.batch(urls('a', 'b')));
    const before = await storage.reader.recount(REQUEST);
    expect(before).toMatchObject({ records: 2, stored: [{ key: 'a' }, { key: 'b' }] });
    const dying = await open({}, failing('', 'insertMany', 'after'));
    const batch = journal.batch(urls('a', 'c'));
    await expect(dying.apply(batch)).rejects.toThrow('killed');
    // A new journal, too.
    await expect(dying.apply(new TestJournal('b', storage.summaries).batch(urls('d')))).rejects.toThrow(
      'killed',
    );
    expect(await storage.getUsage()).toHaveLength(5);
    expect(await storage.reader.recount(REQUEST)).toEqual(before);
    await writer.apply(batch);
    expect(await storage.reader.recount(REQUEST)).toMatchObject({
      records: 4,
      counted: [{ hits: 2 }, {}, {}],
    });
    for (const each of [dying, writer]) await each.close();
  });

  test('gives up on a bucket that contains a part of a batch in progress, but not on others', async () => {
    const { db, storage, open } = await newDatabase('urls');
    const journal = new TestJournal('a', storage.summaries);
    const dying = await open({}, failing('_journals', 'updateOne', 'before'));
    const earlier = { ...REQUEST, from: HOUR - 3_600_000, to: HOUR - 1 };
    const writer = await open();
    await put(writer, journal.batch([{ url: 'a', date: earlier.from }]));
    const batch = journal.batch(urls('a', 'b'));
    await expect(dying.apply(batch)).rejects.toThrow('killed');
    const collections = new Collections({ db, collection: 'usageTracking', label: 'test' });
    await expect(recountBetweenBatches(collections, REQUEST, 0)).rejects.toMatchObject({
      code: 'RECOUNT_BUSY',
      message: expect.stringContaining(
        'cannot recount the hour 2026-11-24T12:00:00.000Z of the summary "urls"',
      ),
    });
    expect(await recountBetweenBatches(collections, earlier, 0)).toMatchObject({ records: 1 });
    await writer.apply(batch);
    expect(await recountBetweenBatches(collections, REQUEST, 0)).toMatchObject({ records: 2 });
    for (const each of [dying, writer]) await each.close();
  });
});

// After these writes, a part of the sums is stored.
describe.skipIf(!hasMongo)('a killed rebuild', () =>
  killedRebuildCase(
    async (hooks) => {
      const db = client.db(`maintenance_${process.pid}_${++databases}`);
      onTestFinished(async () => void (await db.dropDatabase()));
      const url = mongo.url(db.databaseName);
      return { url, storage: new MongoStorage(url, { hooks }) };
    },
    [5, 6],
  ),
);
