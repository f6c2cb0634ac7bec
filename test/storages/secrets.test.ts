import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { format, inspect } from 'node:util';
import { serialize } from 'node:v8';
import { createClient as createClickhouse } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { createPool } from 'mysql2';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { flaskSource } from '../../src/copy/flask/source.ts';
import { TrackUsageError } from '../../src/errors.ts';
import { TrackUsage } from '../../src/index.ts';
import type { Storage } from '../../src/query/storage.ts';
import { ClickhouseStorage } from '../../src/storages/clickhouse/index.ts';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { MysqlStorage } from '../../src/storages/mysql/index.ts';
import { PostgresStorage } from '../../src/storages/postgres/index.ts';
import { RedisStorage } from '../../src/storages/redis/index.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { expectErrors } from '../support/expected-errors.ts';

// The ClickHouse client prints refused connections.
expectErrors(/\[@clickhouse\/client\]/);

const SCHEMES: [string, (url: string) => Storage][] = [
  ['clickhouse', (url) => new ClickhouseStorage(url)],
  ['mongodb', (url) => new MongoStorage(url)],
  ['mysql', (url) => new MysqlStorage(url)],
  ['postgres', (url) => new PostgresStorage(url)],
  ['redis', (url) => new RedisStorage(url)],
];

function refusal(make: () => unknown): TrackUsageError {
  try {
    make();
  } catch (error) {
    return error as TrackUsageError;
  }
  throw new Error('nothing was thrown');
}

describe.each(SCHEMES)('the password in a %s URL', (scheme, open) => {
  // A URL parser takes the part before the "/" as host and port.
  test.each(['123/s3cret', '123?s3cret', '123#s3cret', '123/s3c@ret', 's3cret%zz'])(
    'is neither truncated nor shown if it is not percent-encoded: %s',
    (password) => {
      const error = refusal(() => open(`${scheme}://usage:${password}@127.0.0.1:1/1`));
      expect(error).toBeInstanceOf(TrackUsageError);
      expect(error.code).toBe('OPTION_INVALID');
      expect(error.message).toContain('percent-encoded');
      expect(error.message).not.toMatch(/s3c|usage:123/);
    },
  );

  test('is not printed with the storage', () => {
    const storage = open(`${scheme}://usage:s3cret%2F%40@127.0.0.1:1/1`);
    const printed = `${inspect(storage, { depth: 9 })} ${JSON.stringify(storage)}`;
    expect(printed).toContain('127.0.0.1');
    expect(printed).not.toContain('s3cret');
  });
});

test('a TLS key that is not JSON is not shown', async () => {
  const ssl = encodeURIComponent("{'key':'s3cret'}");
  const error = refusal(() => new MysqlStorage(`mysql://usage@127.0.0.1/u?ssl=${ssl}`));
  expect(error.message).toMatch(/"ssl" is not JSON/);
  expect(error.message).not.toContain('s3cret');
  const copied = flaskSource(`flask+mysql://usage@127.0.0.1/u?ssl=${ssl}`);
  await expect(copied).rejects.toMatchObject({ code: 'OPTION_INVALID', message: error.message });
});

test.each([[[]], [{ execute() {} }]])('MysqlStorage refuses %j as connection options', (server) => {
  expect(refusal(() => new MysqlStorage(server as { host?: string })).code).toBe('OPTION_INVALID');
});

/** Returns the password as it is, escaped for a URL, and escaped for JSON. */
function formsOf(password: string): string[] {
  return [password, encodeURIComponent(password), JSON.stringify(password).slice(1, -1)];
}

/** Returns a value as text: printed, cloned and serialized in all ways. */
function renderingsOf(value: unknown): Record<string, string> {
  const tryTo = (show: () => unknown) => {
    try {
      return String(show());
    } catch (error) {
      return inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true });
    }
  };
  const all = { depth: Number.POSITIVE_INFINITY, maxArrayLength: null, maxStringLength: null } as const;
  return {
    inspect: tryTo(() => inspect(value, { ...all, showHidden: true, getters: true, showProxy: true })),
    format: tryTo(() => format('%o %O %j %s', value, value, value, value)),
    json: tryTo(() => JSON.stringify(value)),
    clone: tryTo(() => inspect(structuredClone(value), all)),
    serialized: tryTo(() => serialize(value).toString('latin1')),
    properties: tryTo(() => inspect(propertiesOf(value), all)),
  };
}

/** Returns all strings and objects that are reachable through own properties, including non-enumerable ones. */
function propertiesOf(value: unknown, found = new Set<unknown>()): Set<unknown> {
  if (typeof value === 'string') found.add(value);
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || found.has(value)) {
    return found;
  }
  found.add(value);
  for (const key of Reflect.ownKeys(value)) {
    const { value: held, get } = Reflect.getOwnPropertyDescriptor(value, key)!;
    // Getters are not called: they may lead to globals, such as `process`.
    if (get === undefined) propertiesOf(held, found);
  }
  return found;
}

const generated = () => `s3cret ${randomBytes(12).toString('base64')}"'é`;

const HOLDERS: [string, (password: string) => Storage | Promise<Storage>][] = [
  ...SCHEMES.map(([scheme, open]): [string, (password: string) => Storage] => [
    `${scheme}: a URL`,
    (password) => open(`${scheme}://usage:${encodeURIComponent(password)}@127.0.0.1:1/1`),
  ]),
  ...SCHEMES.filter(([scheme]) => ['mysql', 'postgres'].includes(scheme)).map(
    ([scheme, open]): [string, (password: string) => Storage] => [
      `${scheme}: a URL with the password among its parameters`,
      (password) => open(`${scheme}://127.0.0.1:1/1?user=usage&password=${encodeURIComponent(password)}`),
    ],
  ),
  [
    'mongodb: a URL with the password of a key',
    (password) =>
      new MongoStorage(
        `mongodb://127.0.0.1:1/1?tls=true&tlsCertificateKeyFilePassword=${encodeURIComponent(password)}`,
      ),
  ],
  ['postgres: options', (password) => new PostgresStorage({ host: '127.0.0.1', port: 1, password })],
  [
    'postgres: a function',
    (password) => new PostgresStorage({ host: '127.0.0.1', port: 1, password: () => password }),
  ],
  ['mysql: options', (password) => new MysqlStorage({ host: '127.0.0.1', port: 1, database: 'u', password })],
  [
    'postgres: a pool',
    (password) => {
      const pool = new pg.Pool({ host: '127.0.0.1', port: 1, password });
      onTestFinished(() => pool.end());
      return new PostgresStorage(pool);
    },
  ],
  [
    'mysql: a pool',
    (password) => {
      const pool = createPool({ host: '127.0.0.1', port: 1, database: 'u', password });
      onTestFinished(() => new Promise<void>((resolve) => pool.end(() => resolve())));
      return new MysqlStorage(pool);
    },
  ],
  [
    'mongodb: a client',
    (password) => {
      const url = `mongodb://u:${encodeURIComponent(password)}@127.0.0.1:1`;
      const client = new MongoClient(url, { serverSelectionTimeoutMS: 100 });
      onTestFinished(() => client.close());
      return new MongoStorage(client);
    },
  ],
  [
    'redis: a client',
    (password) => {
      const client = new Redis({ host: '127.0.0.1', port: 1, password, lazyConnect: true });
      onTestFinished(() => client.disconnect());
      return new RedisStorage(client as never);
    },
  ],
  [
    'clickhouse: a client',
    (password) => {
      const client = createClickhouse({ url: 'http://127.0.0.1:1', password });
      onTestFinished(() => client.close());
      return new ClickhouseStorage(client as never);
    },
  ],
];

test.each(HOLDERS)('no printed, cloned or serialized value contains the password: %s', async (_, open) => {
  const [password, secret] = [generated(), randomBytes(24).toString('base64')];
  const storage = await open(password);
  const errors: Error[] = [];
  const usage = new TrackUsage(http.createServer(), storage, {
    geo: false,
    cookie: { secret },
    journal: { dir: temporaryDirectory() },
    onError: (error) => errors.push(error),
  });
  const failures = await Promise.all([
    usage.ready().catch((error) => error),
    storage.getUsage().catch((error) => error),
    usage.flush({ timeout: 100 }).catch((error) => error),
  ]);
  expect(failures.every((error) => error instanceof Error)).toBe(true);
  const handler = usage.handler({ token: secret });
  const status = usage.status();
  await usage.close({ timeout: 100 });
  await storage.close();
  const values = { storage, usage, errors, failures, handler, status };
  for (const [name, value] of Object.entries(values)) {
    for (const [rendering, text] of Object.entries(renderingsOf(value))) {
      const found = [...formsOf(password), ...formsOf(secret)].filter((form) => text.includes(form));
      expect(found, `${name}, ${rendering}`).toEqual([]);
    }
  }
});

test.each([
  ['mysql', () => new MysqlStorage(['hunter2'] as never)],
  ['redis', () => new RedisStorage({ url: 'redis://u:hunter2@h' } as never)],
  ['mongodb', () => new MongoStorage({ url: 'mongodb://u:hunter2@h' } as never)],
  ['clickhouse', () => new ClickhouseStorage({ url: 'http://u:hunter2@h' } as never)],
  ['an app', () => new TrackUsage(undefined, { url: 'postgres://u:hunter2@h' } as never)],
  ['an app given a URL', () => new TrackUsage(undefined, 'postgres://u:hunter2@h' as never)],
])('an invalid argument is not shown in the error: %s', (_, make) => {
  expect(refusal(make).message).not.toContain('hunter2');
});
