import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Binary, type Collection, Long, MongoClient, ObjectId } from 'mongodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { copyFlask } from '../../src/copy/flask/copy-flask.ts';
import { flaskSource } from '../../src/copy/flask/source.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { CuttingProxy } from '../../src/testing/index.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { run } from '../cli/support.ts';
import { hasMongo, type MongoServer, mongoServer } from '../support/servers/mongo.ts';
import { ENGINES, type FlaskDatabase, type FlaskServer } from './flask-engines.ts';
import { RECORDS, ROWS, URL_SUMS, visits } from './flask-rows.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Opens the target of `track-usage copy --to`. */
function storageAt(name: string): SqliteStorage {
  const storage = new SqliteStorage(join(directory, name));
  onTestFinished(() => storage.close());
  return storage;
}

describe.each(ENGINES.filter(({ isWanted }) => isWanted))('from $name', ({ name, start, refusal }) => {
  let server: FlaskServer;
  let databases = 0;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.close());

  const newDatabase = (): Promise<FlaskDatabase> => server.database(`app_${process.pid}_${++databases}`);

  test('copies the records, and computes the summaries', async () => {
    const database = await newDatabase();
    await database.add(ROWS);
    const before = await database.all();
    const to = `sqlite:${join(directory, 'new.db')}`;
    const argv = ['copy', '--from', database.url, '--to', to, '--time-zone', 'Europe/Berlin'];
    const done = { code: 0, out: 'The copy is complete: 6 records and their summaries.\n', err: '' };
    expect(await run(argv)).toEqual(done);
    // A second run copies nothing.
    expect(await run(argv)).toEqual(done);
    const storage = storageAt('new.db');
    const byDate = RECORDS.toSorted((a, b) => b.date - a.date);
    expect(await storage.getUsage()).toMatchObject(byDate);
    for (const period of ['hour', 'day', 'month'] as const) {
      const sums = await storage.getSum('urls', { period });
      expect(sums.map(({ date, key, hits, errors }) => [date, key, hits, errors])).toEqual(URL_SUMS[period]);
    }
    expect(await database.all()).toEqual(before);
  });

  test('copies in pieces, continues after an interruption, and later copies new rows', async () => {
    const database = await newDatabase();
    await database.add(visits(10_005));
    const to = new MemoryStorage({ hooks: ['urls'] });
    const copied = async (stopAt = Infinity) => {
      const from = await flaskSource(database.url);
      const onProgress = ({ rows }: { rows: number }) => {
        if (rows >= stopAt) throw new Error('interrupted');
      };
      try {
        return await copyFlask({ from, to, site: 'shop', timeZone: 'UTC', onProgress });
      } finally {
        await from.close();
      }
    };
    await expect(copied(10_000)).rejects.toThrow('interrupted');
    expect(await copied()).toEqual({ records: 10_005 });
    await database.add(visits(4, 10_005));
    expect(await copied()).toEqual({ records: 10_009 });
    expect((await rows(to, 'urls', 'month', { site: 'shop' })).map(([key, hits]) => [key, hits])).toEqual([
      ['http://localhost/0', 3_337],
      ['http://localhost/1', 3_336],
      ['http://localhost/2', 3_336],
    ]);
  });

  test('reads each row once, with any page size', async () => {
    const database = await newDatabase();
    await database.add(visits(7));
    const source = await flaskSource(database.url);
    onTestFinished(() => source.close());
    const found: number[] = [];
    let after: string | undefined;
    do {
      const { records, next } = await source.scan({ site: 'shop', after, limit: 2 });
      found.push(...records.map(({ ms }) => ms));
      after = next;
    } while (after !== undefined);
    expect(found).toEqual(Array.from({ length: 7 }, (_, n) => Date.UTC(2020, 0, 1, 0, n)));
  });

  test('reports that rows were deleted since the last copy', async () => {
    const database = await newDatabase();
    await database.add(visits(7));
    const argv = ['copy', '--from', database.url, '--to', `sqlite:${join(directory, 'new.db')}`];
    expect(await run(argv)).toMatchObject({ code: 0 });
    await database.keep(2);
    expect(await run(argv)).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(
        /^track-usage: .* has fewer records than were already copied: 2 instead of 7; .*--to-site/,
      ),
    });
    expect(await storageAt('new.db').getUsage()).toHaveLength(7);
  });

  test('reports a lost connection', async () => {
    if (name === 'SQLite') return;
    const database = await newDatabase();
    await database.add(visits(7));
    const port = Number(/:(\d+)\//.exec(database.url)?.[1]);
    const proxy = await CuttingProxy.start(port);
    const source = await flaskSource(database.url.replace(`:${port}/`, `:${proxy.port}/`));
    onTestFinished(() => source.close());
    const scan = () => source.scan({ site: 'shop', after: undefined, limit: 2 });
    expect((await scan()).records).toHaveLength(2);
    await proxy.close();
    await expect(scan()).rejects.toMatchObject({ code: 'COPY_SOURCE' });
  });

  test('reports what is missing, without the password', async () => {
    const { url } = await newDatabase();
    const opened = async (from: string, table?: string) => {
      const error = await flaskSource(from, { table }).then(
        () => expect.unreachable(),
        (reason: Error) => reason,
      );
      expect(`${error.stack} ${String(error.cause)}`).not.toMatch(/p@ss|p%40ss|wr0ng/);
      return error;
    };
    const code = 'COPY_SOURCE';
    const expected = expect.stringMatching(/cannot read .*none: .*; check --from, --table and --website; /);
    expect(await opened(url, 'none')).toMatchObject({ code, message: expected });
    expect(await opened(url.replace(/[^/]+$/, 'none'))).toMatchObject({ code });
    if (name !== 'MongoDB') {
      // A table of another program.
      expect(await opened(url, 'flask_usage_url_hourly')).toMatchObject({ code: 'COPY_SOURCE' });
    }
    if (name === 'SQLite') return;
    const nobody = `${url.replace(/(:\/\/)[^/]+\//, '$1jane:wr0ng@127.0.0.1:1/')}${name === 'MongoDB' ? '?serverSelectionTimeoutMS=50' : ''}`;
    expect(await opened(nobody)).toMatchObject({
      code: 'COPY_SOURCE',
      message: expect.stringMatching(/cannot read .*127\.0\.0\.1:1\/.*: .*ECONNREFUSED/),
    });
    if (!refusal) return;
    expect(await opened(url.replace(/:[^:@]+@/, ':wr0ng@'))).toMatchObject({
      code: 'COPY_SOURCE',
      message: expect.stringMatching(refusal),
    });
  });
});

describe.runIf(hasMongo)('MongoDB documents', () => {
  let server: MongoServer;
  let client: MongoClient;
  beforeAll(async () => {
    server = await mongoServer();
    client = new MongoClient(server.url('admin'));
  });
  afterAll(async () => {
    await client?.close();
    await server?.close();
  });

  /** Creates a collection. */
  function newCollection(name: string): Collection<{ _id: unknown }> {
    onTestFinished(async () => void (await client.db(name).dropDatabase()));
    return client.db(name).collection('visits');
  }

  async function recordsOf(name: string, website?: string, limit = 1_000) {
    const source = await flaskSource(`flask+${server.url(name)}`, { table: 'visits', website });
    onTestFinished(() => source.close());
    const found = [];
    let after: string | undefined;
    do {
      const { records, next } = await source.scan({ site: 'shop', after, limit });
      found.push(...records);
      after = next;
    } while (after !== undefined);
    return found;
  }

  test('of MongoStorage are read, with all their fields', async () => {
    const visits = newCollection('piggyback');
    await visits.insertOne({
      url: 'http://localhost/item/7?x=1',
      user_agent: { browser: 'firefox', language: null, platform: 'linux', version: '128.0' },
      server_name: 'shopapp',
      blueprint: null,
      view_args: { id: 7, at: new Date(0), by: new ObjectId('6b070c04057a4d74f3027033') },
      status: 200,
      ip_info: { country: 'Germany', countryCode: 'DE' },
      speed: 0.00017,
      date: new Date(Date.UTC(2017, 2, 26, 0, 30)),
      content_length: 7,
      request: 'POST http://localhost/item/7?x=1 HTTP/1.1',
      url_args: { x: '1' },
      track_var: { plan: 'g\0ld' },
    } as never);
    expect(await recordsOf('piggyback')).toMatchObject([
      {
        ms: Date.UTC(2017, 2, 26, 0, 30),
        server_name: 'shopapp',
        method: 'POST',
        protocol: 'HTTP/1.1',
        content_length: 7,
        duration: 170,
        country: 'DE',
        user_agent: 'firefox/128.0 (linux)',
        extra:
          '{"routeParams":{"id":7,"at":"1970-01-01T00:00:00.000Z","by":"6b070c04057a4d74f3027033"},"vars":{"plan":"g\ufffdld"},"geo":{"country":"Germany"}}',
      },
    ]);
  });

  test('can have IDs of several types', async () => {
    const visits = newCollection('ids');
    const ids = [
      7,
      2.5,
      'b',
      'a',
      new Long(2, 2 ** 30),
      new ObjectId(),
      new ObjectId(),
      new Binary(Buffer.of(1)),
    ];
    await visits.insertMany(ids.map((_id, n) => ({ _id, status: n + 1 })));
    const found = (await recordsOf('ids', undefined, 1)).map(({ status }) => status);
    expect(found).toEqual([2, 1, 5, 4, 3, 8, 6, 7]);
  });

  test('can be limited to one website', async () => {
    const visits = newCollection('websites');
    const websites = ['shop', 'blog', 'shop', undefined];
    await visits.insertMany(websites.map((website, n) => ({ _id: n, website, status: n })));
    const statuses = async (website?: string) =>
      (await recordsOf('websites', website, 1)).map(({ status }) => status);
    expect(await statuses('shop')).toEqual([0, 2]);
    expect(await statuses()).toEqual([0, 1, 2, 3]);
    await expect(statuses('sh0p')).rejects.toMatchObject({
      code: 'COPY_SOURCE',
      message: expect.stringContaining('website sh0p: no document belongs to this website'),
    });
  });

  test('of a track-usage collection with the same name are refused', async () => {
    newCollection('own');
    const storage = new MongoStorage(server.url('own'));
    const writer = await openWriter(storage);
    await writer.apply(new TestJournal('a', storage.summaries).batch([{}]));
    await writer.close();
    await storage.close();
    const to = `sqlite:${join(directory, 'new.db')}`;
    expect(await run(['copy', '--from', `flask+${server.url('own')}`, '--to', to])).toEqual({
      code: 2,
      out: '',
      err: expect.stringMatching(/own\.usageTracking is a collection of track-usage, .*--from mongodb:\/\/…/),
    });
    expect(await run(['copy', '--from', server.url('own'), '--to', to])).toMatchObject({ code: 0, err: '' });
  });
});

describe('a server that never responds', () => {
  test('times out after 10 s without open connections', async () => {
    const closed: Promise<unknown>[] = [];
    const silent = createServer((socket) =>
      closed.push(once(socket.on('error', () => {}).resume(), 'close')),
    );
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const { port } = silent.address() as AddressInfo;
    const started = performance.now();
    const opened = ['postgres', 'mysql', 'mongodb'].map((scheme) =>
      expect(flaskSource(`flask+${scheme}://jane:wr0ng@127.0.0.1:${port}/app`)).rejects.toMatchObject({
        code: 'COPY_SOURCE',
      }),
    );
    await Promise.all(opened);
    expect(performance.now() - started).toBeLessThan(12_000);
    await Promise.all(closed);
    expect(closed.length).toBeGreaterThanOrEqual(3);
    silent.close();
  });
});

describe('--from', () => {
  test('accepts SQLAlchemy URLs', async () => {
    const path = join(directory, 'old.db');
    const database = new DatabaseSync(path);
    database.exec('CREATE TABLE flask_usage (id INTEGER PRIMARY KEY, url TEXT, datetime TEXT)');
    database.close();
    for (const url of [
      `flask+sqlite:${path}`,
      `flask+sqlite:///${path}`,
      `flask+sqlite+pysqlite:///${path}`,
    ]) {
      const source = await flaskSource(url);
      expect(source.label).toBe(`sqlite:${path}, table flask_usage`);
      await source.close();
    }
    await expect(flaskSource('flask+mysql+pymysql://jane:wr0ng@127.0.0.1:1/app')).rejects.toMatchObject({
      code: 'COPY_SOURCE',
      message: expect.stringContaining('mysql://127.0.0.1:1/app, table flask_usage'),
    });
  });

  test('refuses other values, without the password in the message', async () => {
    for (const [url, code] of [
      ['flask+oracle://jane:wr0ng@localhost/app', 'STORAGE_UNKNOWN'],
      ['flask+postgres://jane:wr0ng@localhost:x/app', 'OPTION_INVALID'],
      ['flask+mysql://jane:wr0ng@localhost:x/app', 'OPTION_INVALID'],
      ['flask+mongodb://jane:wr0ng@', 'OPTION_INVALID'],
    ] as const) {
      const error = await flaskSource(url).catch((reason: Error) => reason);
      expect(error).toMatchObject({ code });
      expect((error as Error).stack).not.toContain('wr0ng');
    }
    const argv = ['copy', '--from', 'flask+sqlite:old.db', '--website', 'shop', '--to', 'sqlite:new.db'];
    expect(await run(argv)).toMatchObject({ code: 2, err: expect.stringContaining('--website is "shop"') });
  });
});
