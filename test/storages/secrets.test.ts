import { inspect } from 'node:util';
import { describe, expect, it, test } from 'vitest';
import { flaskSource } from '../../src/copy/flask/source.ts';
import { TrackUsageError } from '../../src/errors.ts';
import { ClickhouseStorage } from '../../src/storages/clickhouse/index.ts';
import { MongoStorage } from '../../src/storages/mongo/index.ts';
import { MysqlStorage } from '../../src/storages/mysql/index.ts';
import { PostgresStorage } from '../../src/storages/postgres/index.ts';
import { RedisStorage } from '../../src/storages/redis/index.ts';
import type { Storage } from '../../src/storages/storage.ts';

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
  throw new Error('it was taken');
}

describe.each(SCHEMES)('the password in a URL of %s', (scheme, open) => {
  // What stands before the "/" is a host and a port to whoever reads it as a URL.
  it.each(['123/s3cret', '123?s3cret', '123#s3cret', '123/s3c@ret', 's3cret%zz'])(
    'that is not percent-encoded is neither cut nor shown: %s',
    (password) => {
      const error = refusal(() => open(`${scheme}://usage:${password}@127.0.0.1:1/1`));
      expect(error).toBeInstanceOf(TrackUsageError);
      expect(error.code).toBe('OPTION_INVALID');
      expect(error.message).toContain('percent-encoded');
      expect(error.message).not.toMatch(/s3c|usage:123/);
    },
  );

  it('is not among what is printed of the storage', () => {
    const storage = open(`${scheme}://usage:s3cret%2F%40@127.0.0.1:1/1`);
    const printed = `${inspect(storage, { depth: 9 })} ${JSON.stringify(storage)}`;
    expect(printed).toContain('127.0.0.1');
    expect(printed).not.toContain('s3cret');
  });
});

test('a key for TLS that is no JSON is not shown', async () => {
  const ssl = encodeURIComponent("{'key':'s3cret'}");
  const error = refusal(() => new MysqlStorage(`mysql://usage@127.0.0.1/u?ssl=${ssl}`));
  expect(error.message).toMatch(/"ssl" that is no JSON/);
  expect(error.message).not.toContain('s3cret');
  const copied = flaskSource(`flask+mysql://usage@127.0.0.1/u?ssl=${ssl}`);
  await expect(copied).rejects.toMatchObject({ code: 'OPTION_INVALID', message: error.message });
});

test.each([[[]], [{ execute() {} }]])(
  'MysqlStorage takes no %j for the options of a connection',
  (server) => {
    expect(refusal(() => new MysqlStorage(server as { host?: string })).code).toBe('OPTION_INVALID');
  },
);
